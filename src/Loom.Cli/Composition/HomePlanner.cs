using Loom.Agents.Project;
using Loom.Cli.Verbs;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Node;

namespace Loom.Cli.Composition;

/// <summary>Everything <c>loom up</c> runs, read from the settings once.</summary>
/// <param name="Serving">Engines, pools and the API.</param>
/// <param name="Runtime">How the project's runtime behaves.</param>
internal sealed record HomePlan(ServingPlan Serving, RuntimeOptions Runtime);

/// <summary>Turns the settings into what <c>loom up</c> runs.</summary>
internal static class HomePlanner
{
    /// <summary>Folder of the embedded engine's sources, which travel with the program.</summary>
    public static string EmbeddedSources { get; } = Path.Combine(AppContext.BaseDirectory, "engines", "embedded");

    /// <summary>Reads every room's options once.</summary>
    public static HomePlan Plan(SettingsSnapshot settings, VerbContext context, bool allowUnverified)
    {
        var runtime = RuntimeOptions.From(settings);
        return new HomePlan(new ServingPlan(ControlOptions.From(settings), Node(settings, context, runtime, allowUnverified)), runtime);
    }

    /// <summary>What a node runs, for verbs that only provision.</summary>
    public static NodeOptions Node(SettingsSnapshot settings, VerbContext context, RuntimeOptions runtime, bool allowUnverified)
    {
        var surroundings = new NodeSurroundings(context.Executable, runtime.LogsDir, EmbeddedSources, settings.Environment);
        return NodeOptions.From(settings, surroundings) with { AllowUnverified = allowUnverified };
    }
}
