using System.Collections.Immutable;
using Loom.Agents.Binaries;
using Loom.Agents.Discovery;
using Loom.Agents.Plans;
using Loom.Agents.Project;
using Loom.Agents.Settings;
using Loom.Cli.Config;
using Loom.Cli.Verbs;
using Loom.Control;
using Loom.Core.Paths;
using Loom.Core.Settings;
using Loom.Node;
using Loom.Harness.Architecture;
using Loom.Node.Link;
using Loom.Node.Settings;

namespace Loom.Cli.Composition;

/// <summary>What the command line says of the agents.</summary>
internal sealed record AgentWish
{
    /// <summary>The run ends with its main agent, or with the last of its agents; otherwise only when it is asked to.</summary>
    public bool EndsByItself { get; init; }

    /// <summary>Which are meant.</summary>
    public RosterKind Kind { get; init; }

    /// <summary>Absolute scripts that replace discovery.</summary>
    public ImmutableArray<string> Scripts { get; init; } = [];

    /// <summary>Arguments of the main script.</summary>
    public ImmutableArray<string> ScriptArguments { get; init; } = [];

    /// <summary>Agents to start; null = all.</summary>
    public ImmutableArray<string>? Names { get; init; }

    /// <summary>Start what they depend on, too, and wait for it.</summary>
    public bool WithDependencies { get; init; } = true;

    /// <summary>Watch every script, none, or (null) as configured.</summary>
    public bool? Watch { get; init; }
}

/// <summary>Everything <c>loom up</c> runs, read from the settings once.</summary>
/// <param name="Settings">The configuration.</param>
/// <param name="Runtime">How the project's runtime behaves.</param>
/// <param name="Serving">Engines, pools and the API; null where the project needs none.</param>
/// <param name="Wish">What the command line says of the agents.</param>
/// <param name="FreePort">A free port for a name, the same each time.</param>
internal sealed record HomePlan(SettingsSnapshot Settings, RuntimeOptions Runtime, ServingPlan? Serving, AgentWish Wish, Func<string, int> FreePort)
{
    /// <summary>The dataflow systems it lists; none where the run is for an agent alone.</summary>
    public ImmutableArray<SystemListing> Systems => Wish.EndsByItself ? [] : [.. ListedSystem.From(Settings).Select(s => new SystemListing(s.Folder, s.Deployment, s.Autostart))];

    /// <summary>Folders that children are pointed to.</summary>
    public DataFolders Folders => DataFolders.From(Settings);

    /// <summary>Plans the agents.</summary>
    /// <param name="runId">Id of the run they belong to.</param>
    /// <param name="api">Address of the API as it is bound; null where there is none.</param>
    public Planning Agents(string runId, Uri? api) => ProjectPlanner.Plan(Settings, new DiskFiles(), new PlanSurroundings
    {
        RunId = runId,
        FreePort = FreePort,
        ApiBase = api is null ? null : api.GetLeftPart(UriPartial.Authority) + "/v1",
        LocalModel = Serving is { Node.Pools: [{ Models: [var model, ..] }, ..] } ? model : null,
        Kind = Wish.Kind,
        Scripts = Wish.Scripts,
        ScriptArguments = Wish.ScriptArguments,
        Watch = Wish.Watch,
    });
}

/// <summary>Turns the settings into what <c>loom up</c> runs.</summary>
internal static class HomePlanner
{
    // Stands in for a run that has not begun, while the plan is judged.
    private const string NoRun = "not-running";

    /// <summary>Folder of the embedded engine's sources, which travel with the program.</summary>
    public static string EmbeddedSources { get; } = Path.Combine(AppContext.BaseDirectory, "engines", "embedded");

    /// <summary>Reads every room's options once, and judges the agents.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="context">Surroundings of the verb.</param>
    /// <param name="wish">What the command line says of the agents.</param>
    /// <param name="allowUnverified">Accept downloads without a checksum.</param>
    /// <param name="freePort">A free port for a name, the same each time.</param>
    /// <param name="faults">What is wrong with the agents; not empty = start nothing.</param>
    public static HomePlan Plan(SettingsSnapshot settings, VerbContext context, AgentWish wish, bool allowUnverified, Func<string, int> freePort, out ImmutableArray<Fault> faults)
    {
        var runtime = RuntimeOptions.From(settings);
        var plan = new HomePlan(settings, runtime, null, wish, freePort);
        var judged = plan.Agents(NoRun, null);
        faults = judged.Faults;
        if (runtime.Mode == RuntimeMode.BridgeOnly)
        {
            return plan;
        }
        // A pool that nobody wrote down serves the demo model, so that an empty project shows something. A project of agents did not ask for an engine.
        var node = Node(settings, context, runtime, allowUnverified);
        var written = settings.Names("serving.pools").Length > 0 || settings.SourceOf(NodeSettings.Pools).Layer is not (SettingLayer.Default or SettingLayer.Derived);
        if (!written && (!judged.Plan.Agents.IsEmpty || !plan.Systems.IsEmpty))
        {
            node = node with { Pools = [.. node.Pools.Where(p => p.Id.StartsWith("llm-", StringComparison.Ordinal))] };
        }

        return node.Pools.IsEmpty ? plan : plan with { Serving = new ServingPlan(ControlOptions.From(settings), node, LinkOptions.From(settings)) };
    }

    /// <summary>What a node runs, for verbs that only provision.</summary>
    public static NodeOptions Node(SettingsSnapshot settings, VerbContext context, RuntimeOptions runtime, bool allowUnverified)
    {
        var surroundings = new NodeSurroundings(context.Executable, runtime.LogsDir, EmbeddedSources, settings.Environment);
        var binaries = BinaryOptions.From(settings);
        return NodeOptions.From(settings, surroundings) with
        {
            AllowUnverified = allowUnverified, ForceDownload = binaries.ForceDownload, PreferDebug = binaries.PreferDebug,
        };
    }
}
