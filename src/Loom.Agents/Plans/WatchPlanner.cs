using System.Collections.Immutable;
using Loom.Agents.Discovery;
using Loom.Agents.Settings;
using Loom.Core.Settings;

namespace Loom.Agents.Plans;

/// <summary>Reads what reloads an agent.</summary>
internal static class WatchPlanner
{
    /// <summary>Whether any key of <c>watch</c> is given.</summary>
    public static bool IsGiven(SettingsSnapshot settings, string agent) => AgentSettings.Watch.Any(s => settings.SourceOf(s, agent).IsGiven);

    /// <summary>The plan; null = it is not watched.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="agent">Whose.</param>
    /// <param name="wanted">What the command line says: all, none, or null = as configured.</param>
    /// <param name="scripts">Scripts of all agents: those of others in the same folder concern this one only when it says so.</param>
    /// <param name="python">Finds the interpreter of a Python script.</param>
    public static WatchPlan? Plan(SettingsSnapshot settings, RosterAgent agent, bool? wanted, ImmutableArray<string> scripts, Func<string, ImmutableArray<string>?> python)
    {
        if (!(wanted ?? IsGiven(settings, agent.Name)))
        {
            return null;
        }

        var paths = settings.Get(AgentSettings.WatchPaths, agent.Name);
        var exclude = settings.Get(AgentSettings.WatchExclude, agent.Name);
        if (paths.IsEmpty && agent.Script is { } script)
        {
            paths = [Path.GetDirectoryName(script)!];
            exclude = [.. exclude, .. scripts.Where(s => s != script && Path.GetDirectoryName(s) == paths[0]).Select(s => Path.GetFileName(s))];
        }

        var check = settings.Get(AgentSettings.WatchCheck, agent.Name);
        return paths.IsEmpty ? null : new WatchPlan
        {
            Paths = paths,
            Include = settings.Get(AgentSettings.WatchInclude, agent.Name),
            Exclude = exclude,
            Debounce = settings.Get(AgentSettings.WatchDebounce, agent.Name),
            Check = !check.IsEmpty || agent.Script is null ? check : ByLanguage(agent.Script, python),
            Cascade = settings.Get(AgentSettings.WatchCascade, agent.Name),
        };
    }

    // Only says whether the code can be read at all; nothing of it is run.
    private static ImmutableArray<string> ByLanguage(string script, Func<string, ImmutableArray<string>?> python) => Path.GetExtension(script) switch
    {
        ".py" => python(script) is { } interpreter ? [.. interpreter, "-m", "py_compile", script] : [],
        ".js" or ".mjs" or ".cjs" => ["node", "--check", script],
        ".sh" => ["/bin/sh", "-n", script],
        ".cs" or ".csproj" => ["dotnet", "build", script],
        _ => [],
    };
}
