using System.Globalization;
using System.Text;

namespace Loom.Harness.Expressions;

internal enum TokenKind : byte
{
    End,
    Name,
    Int,
    Double,
    String,

    /// <summary>An operator or a bracket: its text says which.</summary>
    Mark,
}

/// <summary>One word of an expression.</summary>
/// <param name="Kind">What sort of word.</param>
/// <param name="Position">From 0, in the whole text.</param>
/// <param name="End">Where the text goes on.</param>
/// <param name="Text">As written; for a string its value.</param>
internal readonly record struct Token(TokenKind Kind, int Position, int End, string Text)
{
    /// <summary>Magnitude of an integer literal; its sign is an operator.</summary>
    public ulong Integer { get; init; }

    public double Number { get; init; }

    public bool Is(string mark) => Kind == TokenKind.Mark && string.Equals(Text, mark, StringComparison.Ordinal);
}

/// <summary>Cuts a text into words, from a position on: templates hold several expressions in one text.</summary>
internal sealed class Lexer(string text, int position)
{
    private static readonly string[] Marks =
        ["&&", "||", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "<", ">", "!", "?", ":", ".", ",", "(", ")", "[", "]", "{", "}", "$"];

    private int _at = position;

    public Token Next()
    {
        SkipBlanks();
        if (_at >= text.Length)
        {
            return new Token(TokenKind.End, text.Length, text.Length, "the end");
        }

        var c = text[_at];
        if (c is '"' or '\'')
        {
            return String(_at, raw: false);
        }

        if (c is 'r' or 'R' && _at + 1 < text.Length && text[_at + 1] is '"' or '\'')
        {
            _at++;
            return String(_at - 1, raw: true);
        }

        if (char.IsAsciiLetter(c) || c == '_')
        {
            var start = _at;
            while (_at < text.Length && (char.IsAsciiLetterOrDigit(text[_at]) || text[_at] == '_'))
            {
                _at++;
            }

            return new Token(TokenKind.Name, start, _at, text[start.._at]);
        }

        return char.IsAsciiDigit(c) || (c == '.' && _at + 1 < text.Length && char.IsAsciiDigit(text[_at + 1])) ? Number() : Mark();
    }

    private Token Mark()
    {
        foreach (var mark in Marks)
        {
            if (string.CompareOrdinal(text, _at, mark, 0, mark.Length) == 0)
            {
                _at += mark.Length;
                return new Token(TokenKind.Mark, _at - mark.Length, _at, mark);
            }
        }

        throw ExpressionException.At(text, _at, text[_at] switch
        {
            '=' => "\"=\" is no operator; equality is \"==\"",
            '&' => "\"&\" is no operator; \"and\" is \"&&\"",
            '|' => "\"|\" is no operator; \"or\" is \"||\"",
            var c => $"the character \"{c}\" has no meaning here",
        });
    }

    private void SkipBlanks()
    {
        while (_at < text.Length)
        {
            if (char.IsWhiteSpace(text[_at]))
            {
                _at++;
            }
            else if (text[_at] == '/' && _at + 1 < text.Length && text[_at + 1] == '/')
            {
                var end = text.IndexOf('\n', _at);
                _at = end < 0 ? text.Length : end + 1;
            }
            else
            {
                return;
            }
        }
    }

    private Token Number()
    {
        var start = _at;
        if (text[_at] == '0' && _at + 1 < text.Length && text[_at + 1] is 'x' or 'X')
        {
            _at += 2;
            Digits(char.IsAsciiHexDigit);
            return ulong.TryParse(text.AsSpan(start + 2, _at - start - 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var hex)
                ? new Token(TokenKind.Int, start, _at, text[start.._at]) { Integer = hex }
                : throw ExpressionException.At(text, start, $"{text[start.._at]} is no hexadecimal number of up to 64 bits");
        }

        Digits(char.IsAsciiDigit);
        var real = false;
        if (_at + 1 < text.Length && text[_at] == '.' && char.IsAsciiDigit(text[_at + 1]))
        {
            real = true;
            _at++;
            Digits(char.IsAsciiDigit);
        }

        if (_at < text.Length && text[_at] is 'e' or 'E')
        {
            var sign = _at + 1 < text.Length && text[_at + 1] is '+' or '-' ? 2 : 1;
            if (_at + sign < text.Length && char.IsAsciiDigit(text[_at + sign]))
            {
                real = true;
                _at += sign;
                Digits(char.IsAsciiDigit);
            }
        }

        if (_at < text.Length && (char.IsAsciiLetter(text[_at]) || text[_at] == '_'))
        {
            throw ExpressionException.At(text, _at, $"a number cannot be followed by \"{text[_at]}\"; there are ints (42) and doubles (4.2)");
        }

        var digits = text[start.._at];
        if (real)
        {
            return new Token(TokenKind.Double, start, _at, digits) { Number = double.Parse(digits, NumberStyles.Float, CultureInfo.InvariantCulture) };
        }

        return ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var integer)
            ? new Token(TokenKind.Int, start, _at, digits) { Integer = integer }
            : throw ExpressionException.At(text, start, $"{digits} is larger than an int of 64 bits; write {digits}.0 for a double");
    }

    private void Digits(Func<char, bool> isDigit)
    {
        while (_at < text.Length && isDigit(text[_at]))
        {
            _at++;
        }
    }

    // The quote stands at _at; start is where the token begins, an r included.
    private Token String(int start, bool raw)
    {
        var quote = text[_at++];
        var value = new StringBuilder();
        while (_at < text.Length && text[_at] != quote)
        {
            if (text[_at] == '\n')
            {
                break;
            }

            if (text[_at] == '\\' && !raw)
            {
                Escape(value);
            }
            else
            {
                value.Append(text[_at++]);
            }
        }

        if (_at >= text.Length || text[_at] != quote)
        {
            throw ExpressionException.At(text, start, $"the string that begins here has no closing {quote}");
        }

        _at++;
        return new Token(TokenKind.String, start, _at, value.ToString());
    }

    private void Escape(StringBuilder value)
    {
        var start = _at++;
        var c = _at < text.Length ? text[_at++] : '\0';
        switch (c)
        {
            case 'n': value.Append('\n'); return;
            case 't': value.Append('\t'); return;
            case 'r': value.Append('\r'); return;
            case 'a': value.Append('\a'); return;
            case 'b': value.Append('\b'); return;
            case 'f': value.Append('\f'); return;
            case 'v': value.Append('\v'); return;
            case '\\' or '"' or '\'' or '`' or '?': value.Append(c); return;
            case 'x' or 'u' or 'U':
                var length = c == 'x' ? 2 : c == 'u' ? 4 : 8;
                if (_at + length <= text.Length
                    && int.TryParse(text.AsSpan(_at, length), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var code)
                    && Rune.IsValid(code))
                {
                    _at += length;
                    value.Append(new Rune(code).ToString());
                    return;
                }

                break;
        }

        throw ExpressionException.At(text, start, @"unknown escape in a string; known are \n \t \r \\ \"" \' \xHH \uHHHH; in r""..."" nothing is escaped");
    }
}
