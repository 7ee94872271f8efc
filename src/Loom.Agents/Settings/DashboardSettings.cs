using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Settings of <c>[dashboard]</c>: checked and shown; the dashboard itself reads them once it is built (decision 0006).</summary>
public static class DashboardSettings
{
    internal static readonly Setting<bool> Enabled = Setting.Bool("dashboard.enabled", "Serve the dashboard.", "true", variables: ["LOOM_DASHBOARD"], source: "seeds/003");

    internal static readonly Setting<string> Host = Setting.String("dashboard.host", "Host the dashboard binds.", "127.0.0.1", min: "1", max: "253",
        variables: ["LOOM_DASHBOARD_HOST"]);

    internal static readonly Setting<long> Port = Setting.Int("dashboard.port", "Port of the dashboard; 0 = any free port.", "3030", min: "0", max: "65535", unit: "port",
        variables: ["LOOM_DASHBOARD_PORT"], source: "seeds/003");

    /// <summary>Every row of this subject.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Enabled, Host, Port,
        Setting.Bool("dashboard.debug", "Allow debug events; they are marked mock.", "false", variables: ["LOOM_DASHBOARD_DEBUG"]),
        Setting.Bool("dashboard.fake_feed", "Show invented traffic, marked mock.", "false", variables: ["LOOM_DASHBOARD_FAKE_FEED"]),
        Setting.Enum<DashboardMcp>("dashboard.mcp", "Loom's own MCP server.", [("off", DashboardMcp.Off), ("read", DashboardMcp.Read), ("write", DashboardMcp.Write)], "read"),
        Setting.List("dashboard.allow_hosts", "Further Host names."),
    ];
}

/// <summary>What Loom's own MCP server may do.</summary>
internal enum DashboardMcp
{
    Off,
    Read,
    Write,
}
