using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Loom.Harness.Expressions;

/// <summary>
/// The one form of a JSON value that keys are compared and hashed by: no blanks, names sorted by ordinal, escapes only where JSON demands
/// them, numbers in their shortest form (<c>1</c>, <c>1.0</c> and <c>1e0</c> are the same key). UTF-8.
/// </summary>
internal static class CanonicalJson
{
    private static readonly SearchValues<char> s_escaped = SearchValues.Create(
        "\"\\\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f");

    [ThreadStatic]
    private static StringBuilder? t_text;

    /// <summary>The canonical text of a payload.</summary>
    public static string Of(JsonElement json) => Of(Value.Of(json));

    /// <summary>Writes the canonical form as UTF-8, for instance to hash it.</summary>
    public static void Write(JsonElement json, IBufferWriter<byte> into) => Encoding.UTF8.GetBytes(Of(json), into);

    /// <summary>The canonical form of a text that is a key as it stands: a JSON string.</summary>
    public static string OfText(string text)
    {
        var result = Rent();
        AppendText(result, text);
        return result.ToString();
    }

    /// <summary>The canonical text of a value. A double JSON cannot write becomes null.</summary>
    internal static string Of(in Value value)
    {
        var result = Rent();
        Append(result, value);
        return result.ToString();
    }

    private static void Append(StringBuilder text, in Value value)
    {
        switch (value.Kind)
        {
            case Kind.Null:
                text.Append("null");
                break;
            case Kind.Bool:
                text.Append(value.IsTrue ? "true" : "false");
                break;
            case Kind.Int:
                text.Append(CultureInfo.InvariantCulture, $"{value.Int}");
                break;
            case Kind.Double:
                AppendNumber(text, value);
                break;
            case Kind.List:
                AppendList(text, value);
                break;
            case Kind.Map:
                AppendMap(text, value);
                break;
            default:
                ValueText.TryOf(value, out var content);
                AppendText(text, content);
                break;
        }
    }

    private static void AppendNumber(StringBuilder text, in Value value)
    {
        var number = value.Double;
        if (value.Json.ValueKind == JsonValueKind.Number && value.Json.GetRawText() is var raw && raw.AsSpan().IndexOfAny('.', 'e', 'E') < 0)
        {
            // More digits than an int of 64 bits has: an id somewhere, which rounding would make equal to another.
            text.Append(raw);
        }
        else if (!double.IsFinite(number))
        {
            text.Append("null");
        }
        else if (number == Math.Truncate(number) && Math.Abs(number) < 1e18)
        {
            text.Append(CultureInfo.InvariantCulture, $"{(long)number}");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $"{number:R}");
        }
    }

    private static void AppendList(StringBuilder text, in Value value)
    {
        text.Append('[');
        var first = true;
        for (var items = new Items(value); items.MoveNext(); first = false)
        {
            text.Append(first ? "" : ",");
            Append(text, items.Current);
        }

        text.Append(']');
    }

    private static void AppendMap(StringBuilder text, in Value value)
    {
        var members = new List<(string Name, Value Value)>(value.Count);
        for (var items = new Items(value); items.MoveNext();)
        {
            members.Add((items.Name, items.Member));
        }

        members.Sort(static (a, b) => string.CompareOrdinal(a.Name, b.Name));
        text.Append('{');
        for (var i = 0; i < members.Count; i++)
        {
            text.Append(i == 0 ? "" : ",");
            AppendText(text, members[i].Name);
            text.Append(':');
            Append(text, members[i].Value);
        }

        text.Append('}');
    }

    private static void AppendText(StringBuilder into, string text)
    {
        into.Append('"');
        var rest = text.AsSpan();
        for (var at = rest.IndexOfAny(s_escaped); at >= 0; at = rest.IndexOfAny(s_escaped))
        {
            into.Append(rest[..at]);
            _ = rest[at] switch
            {
                '"' => into.Append("\\\""),
                '\\' => into.Append(@"\\"),
                '\b' => into.Append(@"\b"),
                '\f' => into.Append(@"\f"),
                '\n' => into.Append(@"\n"),
                '\r' => into.Append(@"\r"),
                '\t' => into.Append(@"\t"),
                var c => into.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
            };
            rest = rest[(at + 1)..];
        }

        into.Append(rest).Append('"');
    }

    private static StringBuilder Rent()
    {
        var text = t_text ??= new StringBuilder(64);
        if (text.Capacity > 1 << 20)
        {
            text = t_text = new StringBuilder(64);
        }

        return text.Clear();
    }
}
