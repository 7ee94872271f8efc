namespace Loom.Core.Settings;

/// <summary>Two durations written <c>1s..60s</c>; which of them is the longer one is judged by a cross rule.</summary>
/// <param name="First">Where it begins.</param>
/// <param name="Last">Where it ends.</param>
/// <param name="Text">As the user wrote it.</param>
public sealed record DurationRange(TimeSpan First, TimeSpan Last, string Text)
{
    /// <summary>Reads two durations with units (a bare number counts seconds), each at most a day; null when it is none.</summary>
    public static DurationRange? TryParse(string text)
    {
        var dots = text.IndexOf("..", StringComparison.Ordinal);
        return dots > 0 && One(text[..dots]) is { } first && One(text[(dots + 2)..]) is { } last ? new DurationRange(first, last, text) : null;
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    private static TimeSpan? One(string text) =>
        Units.Duration(text.Trim(), "s") is { } milliseconds && milliseconds == decimal.Truncate(milliseconds) && milliseconds <= 86_400_000
            ? TimeSpan.FromMilliseconds((long)milliseconds)
            : null;
}
