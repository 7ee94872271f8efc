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
    public void Table(IReadOnlyList<string[]> rows)
    {
        var widths = new int[rows[0].Length];
        foreach (var row in rows)
        {
            for (var i = 0; i < row.Length; i++)
            {
                widths[i] = Math.Max(widths[i], row[i].Length);
            }
        }

        for (var r = 0; r < rows.Count; r++)
        {
            var cells = rows[r].Select((cell, i) => i == rows[r].Length - 1 ? cell : cell.PadRight(widths[i]));
            var line = string.Join("  ", cells).TrimEnd();
            Out.WriteLine(r == 0 ? Paint(Tone.Dim, line) : line);
        }
    }
}
