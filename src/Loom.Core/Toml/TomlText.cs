using System.Buffers;
using System.Text;

namespace Loom.Core.Toml;

/// <summary>Place in a file, counted from 1; the column in Unicode characters.</summary>
public readonly record struct TomlPosition(int Line, int Column);

/// <summary>The decoded text of a document, and the way from an offset to a place people can find.</summary>
public sealed class TomlText
{
    private List<int>? _lineStarts;

    /// <param name="text">The text, without byte order mark.</param>
    public TomlText(string text) => Value = text;

    /// <summary>The whole text.</summary>
    public string Value { get; }

    /// <summary>Decodes UTF-8 strictly; a byte order mark at the start is passed over.</summary>
    /// <exception cref="TomlException">A byte sequence is not UTF-8; the place is that of the first such byte.</exception>
    public static TomlText Decode(ReadOnlySpan<byte> utf8)
    {
        if (utf8.StartsWith("\uFEFF"u8))
        {
            utf8 = utf8[3..];
        }

        var valid = ValidLength(utf8);
        var text = new TomlText(Encoding.UTF8.GetString(utf8[..valid]));
        return valid == utf8.Length ? text : throw new TomlException(text, text.Value.Length, 1, $"byte 0x{utf8[valid]:X2} is not valid UTF-8");
    }

    /// <summary>Line and column of an offset into <see cref="Value"/>.</summary>
    public TomlPosition Position(int offset)
    {
        var starts = LineStarts();
        var line = starts.BinarySearch(offset);
        line = line < 0 ? ~line - 1 : line;
        return new TomlPosition(line + 1, CharacterCount(starts[line], offset) + 1);
    }

    /// <summary>Number of Unicode characters between two offsets.</summary>
    public int CharacterCount(int start, int end)
    {
        var count = 0;
        for (var i = start; i < end; i++)
        {
            // The second half of a pair is not a character of its own.
            count += char.IsLowSurrogate(Value[i]) ? 0 : 1;
        }

        return count;
    }

    /// <summary>A line, counted from 1, without its end.</summary>
    public string Line(int line)
    {
        var starts = LineStarts();
        var end = line < starts.Count ? starts[line] : Value.Length;
        return Value[starts[line - 1]..end].TrimEnd('\r', '\n');
    }

    private static int ValidLength(ReadOnlySpan<byte> utf8)
    {
        var at = System.Text.Ascii.IsValid(utf8) ? utf8.Length : 0;
        while (at < utf8.Length)
        {
            if (Rune.DecodeFromUtf8(utf8[at..], out _, out var used) != OperationStatus.Done)
            {
                break;
            }

            at += used;
        }

        return at;
    }

    private List<int> LineStarts()
    {
        if (_lineStarts is { } known)
        {
            return known;
        }

        var starts = new List<int> { 0 };
        for (var i = 0; i < Value.Length; i++)
        {
            if (Value[i] == '\n')
            {
                starts.Add(i + 1);
            }
        }

        return _lineStarts = starts;
    }
}
