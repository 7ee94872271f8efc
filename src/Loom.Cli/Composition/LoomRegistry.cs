using Loom.Agents.Project;
using Loom.Core.Settings;

namespace Loom.Cli.Composition;

/// <summary>All settings of this build: each room declares its own, here they are joined.</summary>
public static class LoomRegistry
{
    /// <summary>The one registry of the process.</summary>
    public static SettingRegistry Instance { get; } = new(
    [
        .. SharedSettings.All,
        .. RuntimeSettings.All,
    ]);
}
