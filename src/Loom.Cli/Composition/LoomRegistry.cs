using System.Collections.Immutable;
using Loom.Agents.Settings;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Harness.Architecture;
using Loom.Node.Settings;

namespace Loom.Cli.Composition;

/// <summary>All settings of this build: each room declares its own, here they are joined.</summary>
public static class LoomRegistry
{
    /// <summary>The one registry of the process.</summary>
    public static SettingRegistry Instance { get; } = new([.. SharedSettings.All, .. ControlSettings.All, .. NodeSettings.All, .. RuntimeSettings.All, .. ProjectSettings.All, .. HarnessSettings.All]);

    /// <summary>The cross rules: those over several rooms, and those that need a room's own knowledge.</summary>
    public static ImmutableArray<Action<Draft>> CrossRules { get; } = [.. Loom.Core.Settings.Rules.CrossRules.All, .. NodeRules.All, .. ControlRules.All, .. ProjectRules.All];
}
