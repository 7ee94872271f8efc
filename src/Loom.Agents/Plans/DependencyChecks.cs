using System.Collections.Immutable;
using System.Globalization;
using Loom.Agents.Discovery;
using Loom.Agents.Settings;
using Loom.Core.Settings;

namespace Loom.Agents.Plans;

/// <summary>What agents wait for: it must exist, be able to come about, and not wait for the one that waits (R11).</summary>
internal static class DependencyChecks
{
    private const string Mcp = "mcp.";
    private const string Pools = "pools.";

    public static void Run(SettingsSnapshot settings, ImmutableArray<RosterAgent> roster, Action<Finding> report)
    {
        var known = roster.ToDictionary(a => a.Name, StringComparer.Ordinal);
        foreach (var agent in roster.Where(a => a.Enabled))
        {
            foreach (var target in settings.Names("agents.*.depends_on", agent.Name))
            {
                Target(settings, known, agent.Name, target, report);
            }
        }

        Circles(settings, roster, known, report);
    }

    private static void Target(SettingsSnapshot settings, Dictionary<string, RosterAgent> known, string agent, string target, Action<Finding> report)
    {
        var key = Key(agent, target);
        var until = settings.Get(AgentSettings.DependsOn, agent, target);
        if (target.StartsWith(Mcp, StringComparison.Ordinal))
        {
            if (!Unknown("MCP server", target[Mcp.Length..], settings.Names("mcp"), Mcp, $"[mcp.{target[Mcp.Length..]}]"))
            {
                report(Finding.Of("R11", key, "this version starts no MCP servers, so the agent does not wait for it", null) with { Severity = FaultSeverity.Warning });
            }
        }
        else if (target.StartsWith(Pools, StringComparison.Ordinal))
        {
            Unknown("pool", target[Pools.Length..], PoolNames(settings), Pools, $"[serving.pools.{target[Pools.Length..]}]");
            if (settings.Get(RuntimeSettings.Mode) == RuntimeMode.BridgeOnly)
            {
                report(Finding.Of("R11", key, "mode bridge-only runs no pools", "take it out, or mode = \"full\" in [runtime]"));
            }
            else if (until is DependencyCondition.Succeeded or DependencyCondition.Ended)
            {
                report(Finding.Of("R11", key, "a pool does not end by itself", "wait for started or ready"));
            }
        }
        else if (!known.TryGetValue(target, out var other))
        {
            Unknown("agent", target, [.. known.Keys], "", $"[agents.{KeyText.Quoted(target)}]");
        }
        else if (!other.Enabled)
        {
            report(Finding.Of("R11", key, $"'{target}' is not enabled, so it never gets there", $"enable it, or take it out of depends_on of '{agent}'"));
        }

        bool Unknown(string what, string name, ImmutableArray<string> names, string prefix, string table)
        {
            if (names.Contains(name, StringComparer.Ordinal))
            {
                return false;
            }

            var nearest = Nearest.Of(name, names);
            report(Finding.Of("R11", key, $"there is no {what} '{Redaction.Plain(name)}'", nearest is null ? $"add {table}" : $"did you mean '{prefix}{nearest}'? Otherwise add {table}"));
            return true;
        }
    }

    // A provider of type http is a pool too. A project that runs agents gets no pool it did not write.
    private static ImmutableArray<string> PoolNames(SettingsSnapshot settings)
    {
        var written = settings.Names("serving.pools");
        return
        [
            .. written.IsEmpty && settings.SourceOf("serving.node.pools") is not null ? ["default"] : written,
            .. settings.Names("llm").Where(n => settings.Get(ProviderSettings.Type, n) == ProviderType.Http).Select(n => $"llm-{n}"),
        ];
    }

    // Each circle is told once, at its first edge in the order of the file.
    private static void Circles(SettingsSnapshot settings, ImmutableArray<RosterAgent> roster, Dictionary<string, RosterAgent> known, Action<Finding> report)
    {
        // A stack of our own: a chain of agents may be as long as the file allows.
        var done = new HashSet<string>(StringComparer.Ordinal);
        var way = new List<string>();
        var onWay = new HashSet<string>(StringComparer.Ordinal);
        var left = new Stack<(string Name, bool Leave)>(roster.Reverse().Select(a => (a.Name, false)));
        while (left.TryPop(out var at))
        {
            if (at.Leave)
            {
                onWay.Remove(way[^1]);
                way.RemoveAt(way.Count - 1);
                continue;
            }

            if (onWay.Contains(at.Name))
            {
                Told(settings, [.. way.SkipWhile(n => n != at.Name), at.Name], report);
                continue;
            }

            if (done.Add(at.Name))
            {
                way.Add(at.Name);
                onWay.Add(at.Name);
                left.Push((at.Name, true));
                foreach (var target in settings.Names("agents.*.depends_on", at.Name).Reverse().Where(known.ContainsKey))
                {
                    left.Push((target, false));
                }
            }
        }
    }

    private static void Told(SettingsSnapshot settings, string[] circle, Action<Finding> report)
    {
        var edges = circle.Zip(circle.Skip(1), (from, to) => $"{from} -> {to}{Place(settings.SourceOf(Key(from, to)))}");
        report(Finding.Of("R11", Key(circle[0], circle[1]), $"the agents wait for each other in a circle: {string.Join(", ", edges)}", "take one of them out"));
    }

    private static string Place(SettingSource? source) =>
        source?.File is null ? "" : string.Create(CultureInfo.InvariantCulture, $" ({source.File}:{source.Line}:{source.Column})");

    private static string Key(string agent, string target) => $"agents.{KeyText.Quoted(agent)}.depends_on.{KeyText.Quoted(target)}";
}
