namespace Loom.Core.Toml;

/// <summary>A place in the text that moves forward, and the small steps every part of the grammar shares.</summary>
internal sealed class TomlCursor(TomlText source)
{
    private readonly string _text = source.Value;

    public const char End = '\0';

    public int At { get; set; }

    public string Text => _text;

    public bool AtEnd => At >= _text.Length;

    /// <summary>The present character; <see cref="End"/> at the end (a real NUL is refused by every rule).</summary>
    public char Current => At < _text.Length ? _text[At] : End;

    public char Ahead(int distance) => At + distance < _text.Length ? _text[At + distance] : End;

    public bool TakeIf(char c)
    {
        if (Current != c || AtEnd)
        {
            return false;
        }

        At++;
        return true;
    }

    public bool StartsWith(string text) => string.CompareOrdinal(_text, At, text, 0, text.Length) == 0;

    public void SkipBlanks()
    {
        while (Current is ' ' or '\t')
        {
            At++;
        }
    }

    /// <summary>Passes over blanks, line ends and comments, as arrays allow between items.</summary>
    public void SkipBlanksAndLines()
    {
        for (; ; )
        {
            SkipBlanks();
            if (Current == '#')
            {
                SkipComment();
            }
            else if (!TakeLineEnd())
            {
                return;
            }
        }
    }

    /// <summary>Passes over a comment, up to its line end.</summary>
    public void SkipComment()
    {
        while (!AtEnd && Current != '\n' && !(Current == '\r' && Ahead(1) == '\n'))
        {
            if (IsControl(Current))
            {
                throw Fail($"control character {Name(Current)} in a comment");
            }

            At++;
        }
    }

    public bool TakeLineEnd()
    {
        if (Current == '\n')
        {
            At++;
            return true;
        }

        if (Current == '\r' && Ahead(1) == '\n')
        {
            At += 2;
            return true;
        }

        return false;
    }

    /// <summary>Expects nothing more on this line but a comment.</summary>
    public void ExpectLineEnd(string after)
    {
        SkipBlanks();
        if (Current == '#')
        {
            SkipComment();
        }

        if (!AtEnd && !TakeLineEnd())
        {
            throw Fail(IsControl(Current) ? $"control character {Name(Current)} is not allowed here" : $"expected the end of the line after {after}");
        }
    }

    public TomlException Fail(string message, int length = 1) => Fail(At, length, message);

    public TomlException Fail(int start, int length, string message) => new(source, start, length, message);

    public TomlPosition Position(int offset) => source.Position(offset);

    /// <summary>Whether a character may not stand in text: all controls but the tab.</summary>
    public static bool IsControl(char c) => c is < ' ' and not '\t' or '\u007F';

    public static string Name(char c) => c switch
    {
        '\r' => "CR (a line ends with LF or CR LF)",
        _ => $"U+{(int)c:X4}",
    };
}
