using Loom.Agents.Settings;
using Loom.Cli.Verbs;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Node;

namespace Loom.Cli.Composition;

/// <summary>Turns the settings into what <c>loom up</c> runs.</summary>
internal static class HomePlanner
{
    /// <summary>Folder of the embedded engine's sources, which travel with the program.</summary>
    public static string EmbeddedSources { get; } = Path.Combine(AppContext.BaseDirectory, "engines", "embedded");

    /// <summary>Reads every room's options once.</summary>
    public static HomePlan Plan(SettingsSnapshot settings, VerbContext context, bool allowUnverified)
    {
        var runtime = RuntimeOptions.From(settings);
        var surroundings = new NodeSurroundings(context.Executable, runtime.LogsDir, EmbeddedSources, settings.Environment);
        return new HomePlan(ControlOptions.From(settings), NodeOptions.From(settings, surroundings) with { AllowUnverified = allowUnverified }, runtime);
    }
}
