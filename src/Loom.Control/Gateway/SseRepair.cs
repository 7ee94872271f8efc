using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Loom.Control.Gateway;

/// <summary>
/// Repairs what breaks strict clients in one event of a chat stream, and nothing else: an empty <c>finish_reason</c>, which must be null, and a tool call
/// without <c>index</c>, which gets its place in the list. Events that need nothing are not touched and cost two searches; what is no JSON object passes as it
/// came and is counted.
/// </summary>
internal static class SseRepair
{
    /// <summary>What was repaired, for the metric.</summary>
    public const string FinishReason = "finish_reason";

    /// <summary>What was repaired, for the metric.</summary>
    public const string ToolCallIndex = "tool_call_index";

    /// <summary>An event that is not repaired because it is no JSON object, for the metric.</summary>
    public const string Malformed = "malformed";

    /// <summary>The repaired event; null when there is nothing to repair.</summary>
    /// <param name="whole">A complete event with data.</param>
    /// <param name="repaired">Told the name of each repair, or <see cref="Malformed"/>.</param>
    public static byte[]? Of(ReadOnlySpan<byte> whole, Action<string> repaired)
    {
        if (!LooksLikeObject(whole))
        {
            // Whoever reads it may know better than we what it means.
            repaired(Malformed);
            return null;
        }

        var reason = EmptyReason(whole);
        var calls = whole.IndexOf("\"tool_calls\""u8) >= 0 ? CallsWithoutIndex(whole) : [];
        if (reason < 0 && calls.Count == 0)
        {
            return null;
        }

        List<(int At, int Length, string Text)> edits = [.. calls.Select(c => (c.At, 0, c.Text))];
        calls.ForEach(_ => repaired(ToolCallIndex));
        if (reason >= 0)
        {
            edits.Add((reason, 2, "null"));
            repaired(FinishReason);
        }

        edits.Sort(static (a, b) => a.At.CompareTo(b.At));
        var result = new MemoryStream(whole.Length + 32);
        var done = 0;
        foreach (var (at, length, text) in edits)
        {
            result.Write(whole[done..at]);
            result.Write(Encoding.ASCII.GetBytes(text));
            done = at + length;
        }

        result.Write(whole[done..]);
        return result.ToArray();
    }

    // An event that was cut short lacks its end; more would have to be parsed.
    private static bool LooksLikeObject(ReadOnlySpan<byte> whole)
    {
        var data = SseScanner.DataOf(whole);
        return data.StartsWith("{"u8) && (data.EndsWith("}"u8) || whole.TrimEnd(" \r\n"u8).EndsWith("}"u8));
    }

    // Offset of the empty string; -1 when there is none. Inside generated text the quotes would be escaped.
    private static int EmptyReason(ReadOnlySpan<byte> whole)
    {
        var key = whole.IndexOf("\"finish_reason\""u8);
        if (key < 0)
        {
            return -1;
        }

        var from = key + "\"finish_reason\""u8.Length;
        var value = whole[from..];
        var start = value.IndexOfAnyExcept((byte)' ', (byte)':');
        return start >= 0 && value[start..].StartsWith("\"\""u8) ? from + start : -1;
    }

    private static List<(int At, string Text)> CallsWithoutIndex(ReadOnlySpan<byte> whole)
    {
        List<(int At, string Text)> found = [];
        var data = SseScanner.DataOf(whole);
        if (!whole.Overlaps(data, out var offset))
        {
            return found;
        }

        try
        {
            var reader = new Utf8JsonReader(data);
            while (reader.Read())
            {
                if (reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals("tool_calls"u8) && reader.Read() && reader.TokenType == JsonTokenType.StartArray)
                {
                    ReadCalls(ref reader, offset, found);
                }
            }
        }
        catch (JsonException)
        {
            // What is no JSON is passed on as it came.
            found.Clear();
        }

        return found;
    }

    private static void ReadCalls(ref Utf8JsonReader reader, int offset, List<(int At, string Text)> found)
    {
        for (var index = 0; reader.Read() && reader.TokenType == JsonTokenType.StartObject; index++)
        {
            var at = offset + (int)reader.BytesConsumed;
            var has = false;
            var empty = true;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                has |= reader.ValueTextEquals("index"u8);
                empty = false;
                reader.Skip();
            }

            if (!has)
            {
                found.Add((at, string.Create(CultureInfo.InvariantCulture, $"\"index\":{index}{(empty ? "" : ",")}")));
            }
        }
    }
}
