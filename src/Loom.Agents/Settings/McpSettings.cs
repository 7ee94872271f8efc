using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Settings of <c>[mcp.NAME]</c>: checked and shown; servers are started once their part is built (decision 0006).</summary>
public static class McpSettings
{
    internal static readonly Setting<ImmutableArray<string>> Args = Setting.List("mcp.*.args", "Its arguments.", source: "seeds/003");

    internal static readonly Setting<string> Command = Setting.String("mcp.*.command",
        "Program of a stdio MCP server, started without a shell; exactly one of command and url.", source: "seeds/003");

    internal static readonly Setting<Secret> Env = Setting.Hidden("mcp.*.env.*", "Variables added to its environment.", source: "seeds/003");

    internal static readonly Setting<Uri> Url = Setting.Url("mcp.*.url", "Address of a streamable HTTP MCP server.");

    internal static readonly Setting<Secret> Headers = Setting.Hidden("mcp.*.headers.*", "Request headers for url.");

    internal static readonly Setting<bool> Enabled = Setting.Bool("mcp.*.enabled", "Start it.", "true");

    internal static readonly Setting<TimeSpan> GraceRuntime = Setting.Duration("supervisor.grace.runtime",
        "Time between TERM and KILL for parts of the runtime and MCP servers.", "2", min: "0", max: "3600");

    internal static readonly ChildRows Child = new("mcp.*", "MCP server", "always");

    /// <summary>Every row of this subject.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Command, Args, Env, Url, Headers, Enabled, GraceRuntime,
        Setting.Duration("mcp.*.timeout", "Longest wait for one tool call.", "30", min: "0.1", max: "86400"),
        Setting.List("mcp.*.allow", "Tool globs offered.", "*"),
        Setting.List("mcp.*.deny", "Tool globs withheld."),
        Setting.Duration("mcp.*.grace", "Time between TERM and KILL.", "{supervisor.grace.runtime}", min: "0", max: "3600"),
        Setting.Duration("mcp.*.ping_every", "Pause between pings.", "30", min: "1", max: "3600"),
        .. Child.All,
    ];
}
