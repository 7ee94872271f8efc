using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Settings of <c>[tools.*]</c> and of what an agent may call: checked and shown; the tools themselves read them once they are built (decision 0006).</summary>
public static class ToolSettings
{
    /// <summary>Every row of this subject.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Setting.List("tools.fs.read", "Folders agents may read.", ".", unit: "path"),
        Setting.List("tools.fs.write", "Folders agents may write.", unit: "path"),
        Setting.Bool("tools.fs.delete", "Agents may delete files.", "false"),
        Setting.Size("tools.fs.max_bytes", "Largest file read or written.", "10000000", min: "1", max: "10000000000"),
        Setting.Bool("tools.shell.enabled", "Offer system:shell.", "false"),
        Setting.List("tools.shell.allow", "Executables it may start."),
        Setting.Duration("tools.shell.timeout", "Longest command.", "30", min: "0.1", max: "86400"),
        Setting.List("tools.web.allow_hosts", "Hosts the web tools may reach."),
        Setting.Size("tools.web.max_bytes", "Largest answer.", "5000000", min: "1", max: "1000000000"),
        Setting.Duration("tools.web.timeout", "Longest request.", "20", min: "0.1", max: "3600"),
        Setting.Url("tools.web.search_url", "Search service; unset = web:search is not offered."),
        Setting.Url("tools.web.weather_url", "Weather service; unset = weather:get is not offered."),
        Setting.List("agents.*.tools.allow", "Tools it may call.", "*"),
        Setting.List("agents.*.tools.deny", "Tools it may not call."),
    ];
}
