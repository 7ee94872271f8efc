using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>Second spellings of keys and tables in <c>loom.toml</c>, and what is special about single variables.</summary>
internal static class KeyAliases
{
    /// <summary>An older variable, without a default of its own: alone it works, with one note a start.</summary>
    public const string OlderVariable = "ORCHD_ADDR";

    private static readonly ImmutableArray<(string[] From, string[] To)> s_aliases =
    [
        Of("engines", "serving.engines"),
        Of("reasoning.mock_mode", "reasoning.features.mock_mode"),
        Of("reasoning.paths", "paths"),
        Of("runtime.log_level", "telemetry.log"),
        Of("llm.*.api_base", "llm.*.base_url"),
        Of("agents.*.llm_provider", "agents.*.llm"),
        Of("bridge.mode", "runtime.mode"),
        Of("bridge.version", "runtime.version"),
    ];

    /// <summary>The second spellings of a declared key, stars kept.</summary>
    public static IEnumerable<string[]> SpellingsOf(Setting setting)
    {
        foreach (var (from, to) in s_aliases)
        {
            if (to.Length <= setting.Segments.Length && setting.Segments.AsSpan()[..to.Length].SequenceEqual(to))
            {
                yield return [.. from, .. setting.Segments.Skip(to.Length)];
            }
        }
    }

    /// <summary>The key a second spelling stands for, its stars filled with the names given; null when it is none.</summary>
    public static string[]? Resolve(ReadOnlySpan<string> parts)
    {
        foreach (var (from, to) in s_aliases)
        {
            if (from.Length <= parts.Length && Matches(from, parts) is var (names, ok) && ok)
            {
                var next = 0;
                var resolved = new List<string>(parts.Length + 1);
                foreach (var part in to)
                {
                    resolved.Add(part is "*" ? names[next++] : part);
                }

                resolved.AddRange(parts[from.Length..]);
                return [.. resolved];
            }
        }

        return null;
    }

    private static (List<string> Names, bool Ok) Matches(string[] from, ReadOnlySpan<string> parts)
    {
        var names = new List<string>(1);
        for (var i = 0; i < from.Length; i++)
        {
            if (from[i] is "*")
            {
                names.Add(parts[i]);
            }
            else if (!string.Equals(from[i], parts[i], StringComparison.Ordinal))
            {
                return (names, false);
            }
        }

        return (names, true);
    }

    private static (string[] From, string[] To) Of(string from, string to) => (from.Split('.'), to.Split('.'));
}
