using System.Text;

namespace Loom.Cli.Terminal;

/// <summary>What a piece of text means; colour only adds to it, the words carry it alone.</summary>
public enum Tone
{
    Plain,
    Good,
    Busy,
    Bad,
    Dim,
    Strong,
}

/// <summary>
/// Where a verb writes: data to <see cref="Out"/>, messages to <see cref="Err"/>. Colour and animation only on a terminal, and not with NO_COLOR.
/// </summary>
public sealed class Terminal
{
    public required TextWriter Out { get; init; }

    public required TextWriter Err { get; init; }

    public required TextReader In { get; init; }

    /// <summary>stdout is a terminal.</summary>
    public bool OutIsTerminal { get; init; }

    /// <summary>stderr is a terminal: progress may be redrawn.</summary>
    public bool ErrIsTerminal { get; init; }

    /// <summary>stdin is a terminal and prompting was not forbidden.</summary>
    public bool CanAsk { get; init; }

    public bool Color { get; init; }

    /// <summary>Columns of the terminal; redrawn lines are cut to it. 0 = unknown.</summary>
    public int Width { get; init; }

    public bool Json { get; init; }

    public bool Quiet { get; init; }

    public bool Verbose { get; init; }

    /// <summary>Writes a message line to stderr unless <see cref="Quiet"/>.</summary>
    public void Note(string text)
    {
        if (!Quiet)
        {
            Err.WriteLine(text);
        }
    }

    /// <summary><paramref name="text"/> in the colour of <paramref name="tone"/>, or as it is where colour is off.</summary>
    public string Paint(Tone tone, string text)
    {
        var code = tone switch
        {
            Tone.Good => "32",
            Tone.Busy => "33",
            Tone.Bad => "31",
            Tone.Dim => "2",
            Tone.Strong => "1",
            _ => "",
        };
        return Color && code.Length > 0 ? $"\e[{code}m{text}\e[0m" : text;
    }

    /// <summary>Lines up columns: as wide as their widest cell, two spaces between.</summary>
    /// <param name="rows">First row is the head.</param>
    /// <param name="tint">Tone of a cell by its column; null = all plain.</param>
    public void Table(IReadOnlyList<string[]> rows, Func<int, string, Tone>? tint = null)
    {
        var widths = new int[rows[0].Length];
        foreach (var row in rows)
        {
            for (var i = 0; i < row.Length; i++)
            {
                widths[i] = Math.Max(widths[i], row[i].Length);
            }
        }

        var text = new StringBuilder();
        for (var r = 0; r < rows.Count; r++)
        {
            var start = text.Length;
            for (var i = 0; i < rows[r].Length; i++)
            {
                var cell = rows[r][i];
                text.Append(r > 0 && tint is not null ? Paint(tint(i, cell), cell) : cell).Append(' ', i == rows[r].Length - 1 ? 0 : widths[i] - cell.Length + 2);
            }

            while (text.Length > start && text[^1] == ' ')
            {
                text.Length--;
            }

            if (r == 0)
            {
                var head = text.ToString();
                text.Clear().Append(Paint(Tone.Dim, head));
            }

            text.Append('\n');
        }

        Out.Write(text.ToString());
    }
}
