using System.Text;

namespace Loom.Harness.Expressions.Functions;

/// <summary>Functions of strings. Places and lengths count characters as people do (code points), so an emoji is one.</summary>
internal static class TextFunctions
{
    public static IReadOnlyList<Function> All { get; } =
    [
        Function.Of("contains", Style.Member, Kind.String, Kind.String, Kind.Bool, static (in a, in b) => Value.Of(a.String.Contains(b.String, StringComparison.Ordinal))),
        Function.Of("startsWith", Style.Member, Kind.String, Kind.String, Kind.Bool, static (in a, in b) => Value.Of(a.String.StartsWith(b.String, StringComparison.Ordinal))),
        Function.Of("endsWith", Style.Member, Kind.String, Kind.String, Kind.Bool, static (in a, in b) => Value.Of(a.String.EndsWith(b.String, StringComparison.Ordinal))),
        Function.Of("lowerAscii", Style.Member, Kind.String, Kind.String, static (in a) => Value.Of(Ascii(a.String, lower: true))),
        Function.Of("upperAscii", Style.Member, Kind.String, Kind.String, static (in a) => Value.Of(Ascii(a.String, lower: false))),
        Function.Of("trim", Style.Member, Kind.String, Kind.String, static (in a) => Value.Of(a.String.Trim())),
        Function.Of("split", Style.Member, Kind.String, Kind.String, Kind.List, static (in a, in b) => Split(a.String, b.String, int.MaxValue)),
        Function.Of("split", Style.Member, Kind.String, Kind.String, Kind.Int, Kind.List, static (in a, in b, in c) => Split(a.String, b.String, c.Int)),
        Function.Of("join", Style.Member, Kind.List, Kind.String, static (in a) => Join(a, "")),
        Function.Of("join", Style.Member, Kind.List, Kind.String, Kind.String, static (in a, in b) => Join(a, b.String)),
        Function.Of("replace", Style.Member, Kind.String, Kind.String, Kind.String, Kind.String, static (in a, in b, in c) => Replace(a.String, b.String, c.String)),
        Function.Of("substring", Style.Member, Kind.String, Kind.Int, Kind.String, static (in a, in b) => Substring(a.String, b.Int, long.MaxValue)),
        Function.Of("substring", Style.Member, Kind.String, Kind.Int, Kind.Int, Kind.String, static (in a, in b, in c) => Substring(a.String, b.Int, c.Int)),
        Function.Of("indexOf", Style.Member, Kind.String, Kind.String, Kind.Int, static (in a, in b) =>
            Place(a.String, a.String.IndexOf(b.String, StringComparison.Ordinal))),
        Function.Of("lastIndexOf", Style.Member, Kind.String, Kind.String, Kind.Int, static (in a, in b) =>
            Place(a.String, a.String.LastIndexOf(b.String, StringComparison.Ordinal))),
    ];

    /// <summary>Code points; half a surrogate pair counts as one.</summary>
    public static long Length(ReadOnlySpan<char> text)
    {
        var length = text.Length;
        for (var i = 1; i < text.Length; i++)
        {
            length -= char.IsLowSurrogate(text[i]) && char.IsHighSurrogate(text[i - 1]) ? 1 : 0;
        }

        return length;
    }

    private static string Ascii(string text, bool lower) => string.Create(text.Length, (text, lower), static (into, from) =>
    {
        for (var i = 0; i < into.Length; i++)
        {
            var c = from.text[i];
            into[i] = from.lower ? char.IsAsciiLetterUpper(c) ? (char)(c | 0x20) : c : char.IsAsciiLetterLower(c) ? (char)(c & ~0x20) : c;
        }
    });

    // As in CEL: a limit of 0 gives nothing, a negative one all parts.
    private static Value Split(string text, string separator, long limit)
    {
        if (limit == 0)
        {
            return Value.Of(Array.Empty<Value>());
        }

        if (separator.Length == 0)
        {
            var runes = text.EnumerateRunes().Select(r => Value.Of(r.ToString())).ToArray();
            return Value.Of(runes);
        }

        var parts = text.Split(separator, limit is < 0 or > int.MaxValue ? int.MaxValue : (int)limit);
        return Value.Of(Array.ConvertAll(parts, p => Value.Of(p)));
    }

    private static Value Join(in Value list, string separator)
    {
        var text = new StringBuilder();
        var first = true;
        for (var items = new Items(list); items.MoveNext(); first = false)
        {
            var item = items.Current;
            if (item.Kind != Kind.String)
            {
                return Value.Error($"join() joins strings, not {item.Kind.Name()}; convert with .map(x, string(x))");
            }

            text.Append(first ? "" : separator).Append(item.String);
            if (text.Length > Operators.SizeLimit)
            {
                return TooLong();
            }
        }

        return Value.Of(text.ToString());
    }

    private static Value Replace(string text, string old, string by)
    {
        if (old.Length == 0)
        {
            return Value.Error("replace() needs something to look for");
        }

        var growth = (long)text.AsSpan().Count(old) * (by.Length - old.Length);
        return text.Length + growth > Operators.SizeLimit ? TooLong() : Value.Of(text.Replace(old, by, StringComparison.Ordinal));
    }

    private static Value Substring(string text, long start, long end)
    {
        var length = Length(text);
        end = Math.Min(end, length);
        if (start < 0 || start > end)
        {
            return Value.Error($"substring({start}, {end}) does not lie within the {length} characters of the text");
        }

        return Value.Of(text[Offset(text, start)..Offset(text, end)]);
    }

    // Where a code point begins.
    private static int Offset(string text, long place)
    {
        var at = 0;
        for (; place > 0; place--)
        {
            at += at + 1 < text.Length && char.IsSurrogatePair(text[at], text[at + 1]) ? 2 : 1;
        }

        return at;
    }

    private static Value Place(string text, int at) => Value.Of(at < 0 ? -1 : Length(text.AsSpan(0, at)));

    private static Value TooLong() => Value.Error($"the string would be longer than {Operators.SizeLimit}");
}
