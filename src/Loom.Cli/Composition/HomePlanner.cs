using System.Collections.Immutable;
using Loom.Agents.Project;
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
}
