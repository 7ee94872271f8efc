using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>The settings of a project, joined: its agents, what they meet at, and the programs it takes from elsewhere.</summary>
public static class ProjectSettings
{
    /// <summary>Every row but those of <see cref="RuntimeSettings"/>.</summary>
    public static ImmutableArray<Setting> All { get; } =
        [.. AgentSettings.All, .. BridgeSettings.All, .. DashboardSettings.All, .. McpSettings.All, .. ToolSettings.All, .. BinarySettings.All];
}

/// <summary>The cross rules of a project.</summary>
public static class ProjectRules
{
    /// <summary>All that need to know nothing of the machine; the composition adds them to <see cref="Loom.Core.Settings.Rules.CrossRules.All"/>.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } = [.. AgentRules.All, .. MeetingRules.All, .. BinaryRules.All];
}
