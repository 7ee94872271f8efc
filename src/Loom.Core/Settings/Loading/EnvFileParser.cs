using System.Text;

namespace Loom.Core.Settings;

/// <summary>One assignment of an env file.</summary>
internal sealed record EnvEntry(string Name, string Value, int Line, int Column);

/// <summary>One fault of an env file; its text never quotes a value, which may be a secret.</summary>
internal sealed record EnvFault(FaultSeverity Severity, FaultCode Code, int Line, int Column, string? Name, string Message, string? Fix);

/// <summary>
/// Reads <c>NAME=value</c> lines: optional <c>export</c>, comments, literal and escaped quotes that may span lines. Nothing is expanded or run.
/// </summary>
internal sealed class EnvFileParser
{
    private readonly string _text;
    private readonly Dictionary<string, int> _lines = new(StringComparer.Ordinal);
    private int _at;
    private int _line = 1;
    private int _lineStart;

    private EnvFileParser(string text) => _text = text;

    public List<EnvEntry> Entries { get; } = [];

    public List<EnvFault> Faults { get; } = [];

    private char Current => _at < _text.Length ? _text[_at] : '\0';

    private int Column
    {
        get
        {
            var column = 1;
            for (var i = _lineStart; i < _at; i++)
            {
                column += char.IsLowSurrogate(_text[i]) ? 0 : 1;
            }

            return column;
        }
    }

    public static EnvFileParser Parse(string text)
    {
        var parser = new EnvFileParser(text.StartsWith('\uFEFF') ? text[1..] : text);
        while (parser._at < parser._text.Length)
        {
            parser.Line();
        }

        return parser;
    }

    private void Line()
    {
        SkipBlanks();
        if (Current is not ('#' or '\n' or '\r' or '\0') && !Assignment())
        {
            // One fault a line: what follows on it would only repeat the first.
            SkipToLineEnd();
        }
        else if (Current == '#')
        {
            SkipToLineEnd();
        }

        if (Current == '\r' && _at + 1 < _text.Length && _text[_at + 1] == '\n')
        {
            _at++;
        }

        if (Current == '\n')
        {
            NewLine();
        }
        else if (_at < _text.Length)
        {
            // A lone CR or NUL; without this step the reading would not end.
            Fault("a line ends with LF or CR LF");
            _at++;
        }
    }

    private bool Assignment()
    {
        if (string.CompareOrdinal(_text, _at, "export", 0, 6) == 0 && _at + 6 < _text.Length && _text[_at + 6] is ' ' or '\t')
        {
            _at += 6;
            SkipBlanks();
        }

        var (line, column, start) = (_line, Column, _at);
        while (char.IsAsciiLetterOrDigit(Current) || Current == '_')
        {
            _at++;
        }

        var name = _text[start.._at];
        if (name.Length == 0 || char.IsAsciiDigit(name[0]))
        {
            _at = start;
            return Fault("expected NAME=value");
        }

        if (Current != '=')
        {
            return Fault("expected = directly after the name");
        }

        _at++;
        var value = Current is '\'' or '"' ? Quoted() : Bare();
        if (value is null)
        {
            return false;
        }

        if (_lines.TryGetValue(name, out var first))
        {
            Faults.Add(new EnvFault(FaultSeverity.Warning, FaultCode.Conflict, line, column, name, $"set in line {first} too; this one wins", "keep one"));
        }

        if (value.StartsWith("$(", StringComparison.Ordinal) || value.StartsWith('`'))
        {
            Faults.Add(new EnvFault(FaultSeverity.Warning, FaultCode.BadReference, line, column, name, "looks like a shell command, but nothing is executed here", "put the result of the command into the file"));
        }

        _lines[name] = line;
        Entries.Add(new EnvEntry(name, value, line, column));
        return true;
    }

    private string Bare()
    {
        var start = _at;
        while (Current is not ('\n' or '\0') && !(Current == '\r' && _at + 1 < _text.Length && _text[_at + 1] == '\n'))
        {
            if (Current == '#' && (_at == start || _text[_at - 1] is ' ' or '\t'))
            {
                break;
            }

            _at++;
        }

        return _text[start.._at].Trim(' ', '\t', '\r');
    }

    private string? Quoted()
    {
        var quote = Current;
        var (line, lineStart, start) = (_line, _lineStart, _at);
        _at++;
        var value = new StringBuilder();
        while (Current != quote)
        {
            if (_at >= _text.Length)
            {
                (_line, _lineStart, _at) = (line, lineStart, start);
                Fault("the closing quote is missing");

                // The rest of the file stands inside the quote.
                _at = _text.Length;
                return null;
            }

            if (Current == '\\' && quote == '"')
            {
                _at++;
                if (Escape() is not { } escaped)
                {
                    return null;
                }

                value.Append(escaped);
                _at++;
            }
            else if (Current == '\r' && _at + 1 < _text.Length && _text[_at + 1] == '\n')
            {
                _at++;
            }
            else
            {
                value.Append(Current);
                if (Current == '\n')
                {
                    NewLine();
                }
                else
                {
                    _at++;
                }
            }
        }

        _at++;
        var blanks = _at;
        SkipBlanks();
        if (Current is '\n' or '\r' or '\0' || (Current == '#' && _at > blanks))
        {
            return value.ToString();
        }

        Fault("expected the end of the line after the closing quote");
        return null;
    }

    private char? Escape()
    {
        switch (Current)
        {
            case 'n':
                return '\n';
            case 't':
                return '\t';
            case '"' or '\\':
                return Current;
            default:
                _at--;
                Fault("unknown escape; known are \\n \\t \\\" \\\\", "use single quotes for text as it stands");
                return null;
        }
    }

    private bool Fault(string message, string? fix = null)
    {
        Faults.Add(new EnvFault(FaultSeverity.Error, FaultCode.Syntax, _line, Column, null, message, fix));
        return false;
    }

    private void NewLine()
    {
        _at++;
        _line++;
        _lineStart = _at;
    }

    private void SkipBlanks()
    {
        while (Current is ' ' or '\t')
        {
            _at++;
        }
    }

    private void SkipToLineEnd()
    {
        while (_at < _text.Length && _text[_at] != '\n')
        {
            _at++;
        }
    }
}
