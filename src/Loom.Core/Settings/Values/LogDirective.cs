using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Loom.Core.Settings;

/// <summary>
/// Which log lines appear: <c>level</c> and <c>target=level</c>, comma-separated; the longest matching target decides. A target is the name of a part or
/// the beginning of a log category.
/// </summary>
public sealed class LogDirective
{
    // Parts by the names people know them by. Most log under that name, some code under its own; a part named as target means both.
    private static readonly (string Part, string Category)[] s_parts =
    [
        ("queen-rbee", "Loom.Control"), ("pool-managerd", "Loom.Node"), ("engine-provisioner", "Loom.Node.Provisioning"),
        ("bridge", "Loom.Agents.Bridge"), ("agents", "Loom.Agents"), ("supervisor", "Loom.Processes"), ("loom", "Loom"),
    ];

    private readonly List<Target> _targets;

    private LogDirective(string text, LogLevel level, List<Target> targets, ImmutableArray<string> passedOver, ImmutableArray<string> unknown)
    {
        Text = text;
        Level = level;
        _targets = targets;
        PassedOver = passedOver;
        UnknownTargets = unknown;
    }

    /// <summary>Names of parts that may stand as targets.</summary>
    public static ImmutableArray<string> Parts { get; } = [.. s_parts.Select(p => p.Part)];

    /// <summary>The directive as written.</summary>
    public string Text { get; }

    /// <summary>Level of everything no target names; info when none is given.</summary>
    public LogLevel Level { get; }

    /// <summary>Filters of other loggers, which have no meaning here.</summary>
    public ImmutableArray<string> PassedOver { get; }

    /// <summary>Targets that no part and no category has.</summary>
    public ImmutableArray<string> UnknownTargets { get; }

    /// <summary>Reads a directive; null when it is malformed.</summary>
    public static LogDirective? TryParse(string text)
    {
        var level = LogLevel.Information;
        var targets = new List<Target>();
        var passedOver = ImmutableArray.CreateBuilder<string>();
        var unknown = ImmutableArray.CreateBuilder<string>();
        foreach (var item in text.Split(',', StringSplitOptions.TrimEntries))
        {
            var equals = item.LastIndexOf('=');
            if (item.AsSpan().IndexOfAny("[]{}/*") >= 0)
            {
                passedOver.Add(item);
            }
            else if (equals < 0)
            {
                if (ParseLevel(item) is not { } given)
                {
                    return null;
                }

                level = given;
            }
            else if (ParseLevel(item[(equals + 1)..].Trim()) is { } given && equals > 0)
            {
                var name = item[..equals].Trim();
                var categories = Categories(name);
                targets.AddRange(categories.Select(c => new Target(c, given)));
                if (categories.Length == 0)
                {
                    unknown.Add(name);
                }
            }
            else
            {
                return null;
            }
        }

        return new LogDirective(text, level, targets, passedOver.ToImmutable(), unknown.ToImmutable());
    }

    /// <summary>The lowest level that appears for a log category.</summary>
    public LogLevel LevelOf(string category)
    {
        var longest = -1;
        var level = Level;
        foreach (var (prefix, given) in _targets)
        {
            var matches = category.StartsWith(prefix, StringComparison.OrdinalIgnoreCase) && (category.Length == prefix.Length || category[prefix.Length] == '.');
            if (matches && prefix.Length >= longest)
            {
                longest = prefix.Length;
                level = given;
            }
        }

        return level;
    }

    /// <inheritdoc/>
    public override string ToString() => Text;

    private sealed record Target(string Category, LogLevel Level);

    private static string[] Categories(string target)
    {
        var name = target.Replace("::", ".", StringComparison.Ordinal);
        var part = name.Replace('_', '-');
        foreach (var (known, category) in s_parts)
        {
            if (string.Equals(part, known, StringComparison.OrdinalIgnoreCase))
            {
                return [known, category];
            }
        }

        return name.StartsWith("Loom.", StringComparison.OrdinalIgnoreCase) || name.StartsWith("Microsoft", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("System.", StringComparison.OrdinalIgnoreCase)
            ? [name]
            : [];
    }

    private static LogLevel? ParseLevel(string text) => text.ToLowerInvariant() switch
    {
        "trace" => LogLevel.Trace,
        "debug" => LogLevel.Debug,
        "info" => LogLevel.Information,
        "warn" => LogLevel.Warning,
        "error" => LogLevel.Error,
        "off" => LogLevel.None,
        _ => null,
    };
}
