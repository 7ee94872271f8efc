using System.Net;
using System.Text;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>
/// What a person reads of an HTML page: its text with a line for each block, a dash before list items, tabs between cells; no scripts, styles
/// or comments. One pass that forgives everything browsers forgive; it makes no tree and runs nothing.
/// </summary>
internal sealed class HtmlText
{
    // Nothing inside these is for readers.
    private static readonly HashSet<string> s_hidden = new(StringComparer.OrdinalIgnoreCase)
    {
        "script", "style", "noscript", "template", "svg", "math", "iframe", "object", "canvas", "select", "textarea",
    };

    private static readonly HashSet<string> s_blocks = new(StringComparer.OrdinalIgnoreCase)
    {
        "address", "article", "aside", "blockquote", "body", "caption", "dd", "details", "dialog", "div", "dl", "dt", "fieldset", "figcaption", "figure", "footer",
        "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "legend", "li", "main", "nav", "ol", "option", "p", "pre", "section", "summary", "table",
        "tbody", "tfoot", "thead", "tr", "ul",
    };

    private static readonly HashSet<string> s_paragraphs = new(StringComparer.OrdinalIgnoreCase)
    {
        "blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "p", "pre", "table", "ul", "ol", "dl", "section", "article", "figure",
    };

    private readonly string _html;
    private readonly StringBuilder _text = new();
    private int _at;
    private int _newlines = 2;
    private bool _space;
    private int _pre;
    private string? _title;

    private HtmlText(string html) => _html = html;

    /// <summary>The text and, where the page has one, the title.</summary>
    public static (string Text, string? Title) Of(string html)
    {
        var page = new HtmlText(html);
        page.Read();
        return (page._text.ToString().TrimEnd(), page._title);
    }

    private void Read()
    {
        while (_at < _html.Length)
        {
            var open = _html.IndexOf('<', _at);
            if (open < 0)
            {
                Write(_html.AsSpan(_at));
                return;
            }

            Write(_html.AsSpan(_at, open - _at));
            _at = open;
            if (Starts("<!--"))
            {
                _at = Behind("-->", _at + 4);
            }
            else if (open + 1 < _html.Length && _html[open + 1] is '!' or '?')
            {
                _at = Behind(">", open);
            }
            else if (open + 1 < _html.Length && (char.IsAsciiLetter(_html[open + 1]) || (_html[open + 1] == '/' && open + 2 < _html.Length && char.IsAsciiLetter(_html[open + 2]))))
            {
                Tag();
            }
            else
            {
                // A lone sign: "a < b".
                Write("<");
                _at = open + 1;
            }
        }
    }

    private void Tag()
    {
        var closes = _html[_at + 1] == '/';
        var start = _at + (closes ? 2 : 1);
        var end = start;
        while (end < _html.Length && (char.IsAsciiLetterOrDigit(_html[end]) || _html[end] == '-'))
        {
            end++;
        }

        var name = _html[start..end];
        _at = TagEnd(end);
        var empty = _at >= 2 && _at <= _html.Length && _html[_at - 2] == '/';
        if (!closes && !empty && s_hidden.Contains(name))
        {
            _at = Behind(">", Find($"</{name}", _at));
        }
        else if (!closes && name.Equals("title", StringComparison.OrdinalIgnoreCase))
        {
            var close = Find("</title", _at);
            var title = Collapse(WebUtility.HtmlDecode(_html[_at..Math.Min(close, _html.Length)]));
            _title ??= title.Length > 0 ? title : null;
            _at = Behind(">", close);
        }
        else
        {
            Break(name, closes);
        }
    }

    private void Break(string name, bool closes)
    {
        if (name.Equals("br", StringComparison.OrdinalIgnoreCase))
        {
            NewLine(_newlines + 1);
        }
        else if (name is "td" or "TD" or "th" or "TH")
        {
            if (!closes && _newlines == 0)
            {
                _text.Append('\t');
                _space = false;
            }
        }
        else if (s_blocks.Contains(name))
        {
            NewLine(s_paragraphs.Contains(name) ? 2 : 1);
            if (!closes && name.Equals("li", StringComparison.OrdinalIgnoreCase))
            {
                _text.Append("- ");
                _newlines = 0;
            }
        }

        if (name.Equals("pre", StringComparison.OrdinalIgnoreCase))
        {
            _pre = Math.Max(0, _pre + (closes ? -1 : 1));
        }
    }

    // Behind the sign that ends a tag, quoted attributes skipped.
    private int TagEnd(int from)
    {
        var quote = '\0';
        for (var i = from; i < _html.Length; i++)
        {
            var c = _html[i];
            if (quote != '\0')
            {
                quote = c == quote ? '\0' : quote;
            }
            else if (c is '"' or '\'' && i > 0 && (_html[i - 1] == '=' || char.IsWhiteSpace(_html[i - 1])))
            {
                quote = c;
            }
            else if (c == '>')
            {
                return i + 1;
            }
        }

        return _html.Length;
    }

    private void Write(ReadOnlySpan<char> raw)
    {
        if (raw.IsEmpty)
        {
            return;
        }

        var text = raw.Contains('&') ? WebUtility.HtmlDecode(raw.ToString()) : raw;
        foreach (var c in text)
        {
            if (c == '\n' && _pre > 0)
            {
                _text.Append('\n');
                _newlines = Math.Min(2, _newlines + 1);
            }
            else if (c is ' ' or '\t' or '\r' or '\n' or '\f' or '\u00a0' && _pre == 0)
            {
                _space = true;
            }
            else if (c is not ('\r' or '\u00ad' or '\u200b' or '\ufeff'))
            {
                if (_space && _newlines == 0 && _pre == 0 && _text.Length > 0 && _text[^1] is not (' ' or '\t'))
                {
                    _text.Append(' ');
                }

                _space = false;
                _newlines = 0;
                _text.Append(c == '\u00a0' ? ' ' : c);
            }
        }
    }

    private void NewLine(int wanted)
    {
        _space = false;
        while (_text.Length > 0 && _newlines < Math.Min(wanted, 2))
        {
            _text.Append('\n');
            _newlines++;
        }
    }

    private bool Starts(string mark) => string.CompareOrdinal(_html, _at, mark, 0, mark.Length) == 0;

    private int Find(string mark, int from)
    {
        var at = from < _html.Length ? _html.IndexOf(mark, from, StringComparison.OrdinalIgnoreCase) : -1;
        return at < 0 ? _html.Length : at;
    }

    private int Behind(string mark, int from)
    {
        var at = Find(mark, from);
        return at == _html.Length ? at : at + mark.Length;
    }

    private static string Collapse(string text) => string.Join(' ', text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
}
