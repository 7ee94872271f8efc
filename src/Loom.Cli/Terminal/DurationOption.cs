using System.CommandLine;
using Loom.Core.Settings;

namespace Loom.Cli.Terminal;

/// <summary>Flags that take a time: <c>30s</c>, <c>5m</c>, <c>1h</c>, or seconds as a bare number.</summary>
internal static class DurationOption
{
    private const decimal LongestMilliseconds = 86_400_000;

    /// <summary>A flag of at most a day.</summary>
    /// <param name="name">With its dashes.</param>
    /// <param name="description">One line; the default is added to it.</param>
    /// <param name="byDefault">Value when it is not given; null = none.</param>
    public static Option<TimeSpan?> Create(string name, string description, TimeSpan? byDefault = null) => new(name)
    {
        Description = byDefault is { } given ? $"{description} (default: {given.TotalSeconds:0}s)" : description,
        HelpName = "TIME",
        DefaultValueFactory = _ => byDefault,
        CustomParser = result =>
        {
            var text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
            if (Read(text) is { } time)
            {
                return time;
            }

            result.AddError($"{name} wants a time from 0 to 24h such as 30s or 5m, found '{Redaction.Plain(text)}'.");
            return null;
        },
    };

    internal static TimeSpan? Read(string text) =>
        Units.Duration(text.Trim(), "s") is { } milliseconds and >= 0 and <= LongestMilliseconds ? TimeSpan.FromMilliseconds((double)milliseconds) : null;
}
