using System.Text;
using Loom.Core.Toml;

namespace Loom.Core.Settings;

/// <summary>A place in the project file, and how to show it without showing secrets.</summary>
internal sealed class FilePlace(ProjectFile file, int start, int end)
{
    public SettingSource Source(string? name)
    {
        var position = file.Document.Text.Position(start);
        return new SettingSource(SettingLayer.File, name, file.ShownName, position.Line, position.Column);
    }

    /// <summary>The line with secrets redacted, with the column and length of the place in that form.</summary>
    public (string Line, int Caret, int Length) Shown() => file.Shown(start, end);
}

/// <summary>The parsed <c>loom.toml</c>.</summary>
internal sealed class ProjectFile(TomlDocument document, string shownName)
{
    private readonly List<(int Start, int End)> _secrets = [];

    public TomlDocument Document { get; } = document;

    /// <summary>Name in messages, relative to the working folder where that is shorter.</summary>
    public string ShownName { get; } = shownName;

    /// <summary>Notes a value that must never be shown, wherever its line appears.</summary>
    public void Hide(TomlValue value) => _secrets.Add((value.Start, value.End));

    public (string Line, int Caret, int Length) Shown(int start, int end)
    {
        var text = Document.Text.Value;
        var from = start == 0 ? 0 : text.LastIndexOf('\n', start - 1) + 1;
        var to = text.IndexOf('\n', start);
        to = to < 0 ? text.Length : to;
        var line = new StringBuilder();
        var caret = 1;
        var caretEnd = 1;
        for (var i = from; i < to; i++)
        {
            if (i == start)
            {
                caret = line.Length + 1;
            }

            if (HiddenFrom(i) is { } hiddenEnd)
            {
                // A place inside a hidden value is the hidden value.
                caret = start > i && start < hiddenEnd ? line.Length + 1 : caret;
                line.Append("[redacted]");
                i = hiddenEnd - 1;
                caretEnd = end > i ? line.Length + 1 : caretEnd;
                continue;
            }

            if (text[i] != '\r')
            {
                line.Append(text[i] == '\t' ? ' ' : text[i]);
            }

            if (i < end && !char.IsHighSurrogate(text[i]))
            {
                caretEnd = line.Length + 1;
            }
        }

        return (Redaction.WithoutUserParts(line.ToString()), caret, Math.Max(1, caretEnd - caret));
    }

    /// <summary>A line of a file that did not parse: what keys mean there is not known, so a line that smells of a secret shows its key only.</summary>
    public static string ShownBroken(string line)
    {
        var equals = line.IndexOf('=', StringComparison.Ordinal);
        if (equals < 0)
        {
            return Redaction.WithoutUserParts(line.Replace('\t', ' '));
        }

        var key = line[..equals];
        foreach (var word in (ReadOnlySpan<string>)["key", "token", "secret", "password", "auth", "env", "header"])
        {
            if (key.Contains(word, StringComparison.OrdinalIgnoreCase) || line.Contains(word + " =", StringComparison.OrdinalIgnoreCase))
            {
                return key.Replace('\t', ' ') + "= [redacted]";
            }
        }

        return Redaction.WithoutUserParts(line.Replace('\t', ' '));
    }

    private int? HiddenFrom(int offset)
    {
        foreach (var (start, end) in _secrets)
        {
            // A multi-line secret hides each line it touches.
            if (offset >= start && offset < end)
            {
                return end;
            }
        }

        return null;
    }
}
