using System.Collections.Immutable;
using Loom.Agents.Discovery;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Cross rules about the bridge, the dashboard and MCP servers: R3, R7, R10, R12.</summary>
internal static class MeetingRules
{
    /// <summary>All of them.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } = [.. ((Action<Draft>[])[Bridge, Dashboard, McpServers, NotYet]).Select(InUp)];

    // Parts of a cluster run none of these.
    private static Action<Draft> InUp(Action<Draft> rule) => draft =>
    {
        if (draft.Part == LoomPart.Up)
        {
            rule(draft);
        }
    };

    private static void Bridge(Draft draft)
    {
        var settings = draft.Settings;
        if (draft.IsGiven("bridge.tls_cert") != draft.IsGiven("bridge.tls_key"))
        {
            var (given, other) = draft.IsGiven("bridge.tls_cert") ? ("tls_cert", "tls_key") : ("tls_key", "tls_cert");
            draft.Report("R10", $"bridge.{given}", $"{given} needs {other}", $"{other} = \"PATH\" in [bridge]");
        }

        var address = settings.Get(BridgeSettings.Address);
        if (!address.IsLoopback && !BridgeSettings.IsElsewhere(address) && !HasToken(draft))
        {
            draft.Report("R3", "bridge.address", $"{address} can be reached from other machines, and there is no token", "set LLORCH_API_TOKEN, or bind to 127.0.0.1");
        }

        if (settings.Get(BridgeSettings.Auth) == BridgeAuth.None)
        {
            var open = !address.IsLoopback;
            draft.Report("R10", "bridge.auth", open ? $"without a token only loopback may be served, not {address}" : "any program of this machine can act as any agent",
                "auth = \"token\"", open ? FaultSeverity.Error : FaultSeverity.Warning);
        }

        if (settings.Get(BridgeSettings.MaxEventBytes) > settings.Get(BridgeSettings.MaxMessageBytes))
        {
            var key = draft.IsGiven("bridge.max_event_bytes") ? "bridge.max_event_bytes" : "bridge.max_message_bytes";
            draft.Report("R12", key, "the largest event is larger than the largest message", "max_event_bytes below max_message_bytes");
        }

        if (settings.Get(BridgeSettings.Timeout) > settings.Get(BridgeSettings.ToolTimeoutMax))
        {
            var key = draft.IsGiven("bridge.timeout_sec") ? "bridge.timeout_sec" : "bridge.tool_timeout_max";
            draft.Report("R12", key, "the default time of a tool call is above the longest", "timeout_sec up to tool_timeout_max");
        }
    }

    private static void Dashboard(Draft draft)
    {
        var host = draft.Settings.Get(DashboardSettings.Host);
        if (draft.Settings.Get(DashboardSettings.Enabled) && !new HostPort(host, 0).IsLoopback && !HasToken(draft))
        {
            draft.Report("R3", "dashboard.host", $"{Redaction.Plain(host)} can be reached from other machines, and there is no token", "set LLORCH_API_TOKEN, or host = \"127.0.0.1\"");
        }

        var (bridge, port) = (draft.Settings.Get(BridgeSettings.Address), draft.Settings.Get(DashboardSettings.Port));
        if (draft.Settings.Get(DashboardSettings.Enabled) && port != 0 && port == bridge.Port && !BridgeSettings.IsElsewhere(bridge))
        {
            var (told, named) = draft.IsGiven("dashboard.port") ? ("dashboard.port", "bridge.address") : ("bridge.address", "dashboard.port");
            draft.Report("R7", told, FormattableString.Invariant($"port {port} is also that of {named}"), "give one of them another port, or 0 for any free one");
        }
    }

    private static void McpServers(Draft draft)
    {
        foreach (var server in draft.Names("mcp"))
        {
            var key = Draft.Key("mcp", server);
            if (!AgentName.IsValid(server))
            {
                draft.Report(FaultCode.Type, key, $"'{Redaction.Plain(server)}' cannot be the name of an MCP server: {AgentName.Grammar}", $"[mcp.{AgentName.From(server)}]");
            }

            var settings = draft.Settings;
            if (!settings.Get(McpSettings.Enabled, server))
            {
                continue;
            }

            Kind(draft, server, key);
            if (settings.Get(McpSettings.Child.Backoff, server) is { } backoff && backoff.First > backoff.Last)
            {
                draft.Report("R12", Draft.Key("mcp", server, "restart", "backoff"), $"the first delay of {backoff} is above the last", "backoff = \"1s..60s\"");
            }
        }
    }

    private static void Kind(Draft draft, string server, string key)
    {
        var (command, url) = (Draft.Key("mcp", server, "command"), Draft.Key("mcp", server, "url"));
        if (draft.IsAtFault(command) || draft.IsAtFault(url))
        {
            return;
        }

        var hasCommand = draft.Settings.GetOrNull(McpSettings.Command, server) is { Length: > 0 };
        var hasUrl = draft.Settings.GetOrNull(McpSettings.Url, server) is not null;
        if (hasCommand == hasUrl)
        {
            draft.Report("R10", hasUrl ? url : key, hasUrl ? "command and url are both given" : "nothing to start or to connect to", hasUrl ? "keep one of them" : "command = \"PROGRAM\", or url = \"https://...\"");
        }
        else if (hasUrl && (!draft.Settings.Get(McpSettings.Args, server).IsEmpty || !draft.Names(Draft.Key("mcp", server, "env")).IsEmpty))
        {
            var extra = draft.Settings.Get(McpSettings.Args, server).IsEmpty ? "env" : "args";
            draft.Report("R10", extra == "args" ? Draft.Key("mcp", server, "args") : url, $"{extra} belongs to command; with url nothing is started here", $"take {extra} out");
        }
        else if (hasCommand && draft.Names(Draft.Key("mcp", server, "headers")) is { IsEmpty: false })
        {
            draft.Report("R10", command, "headers belong to url; a program gets none", "take headers out");
        }
    }

    // A project file written for all of Loom loads; what this version does not do yet is said once a start.
    private static void NotYet(Draft draft)
    {
        List<string> tables = [.. draft.Names("mcp").Where(s => draft.Settings.Get(McpSettings.Enabled, s)).Select(s => $"[mcp.{KeyText.Quoted(s)}]")];
        Insert("[tools]", ToolSettings.All);
        Insert("[dashboard]", DashboardSettings.All);
        Insert("[bridge]", BridgeSettings.IsElsewhere(draft.Settings.Get(BridgeSettings.Address)) ? BridgeSettings.All.Remove(BridgeSettings.Address) : BridgeSettings.All);
        if (tables.Count > 0)
        {
            draft.Note($"this version has no bridge, dashboard, tools or MCP servers yet; {string.Join(", ", tables)} {(tables.Count == 1 ? "is" : "are")} checked and otherwise left alone");
        }

        void Insert(string table, ImmutableArray<Setting> rows)
        {
            if (rows.Any(r => draft.IsGiven(r.Key)))
            {
                tables.Insert(0, table);
            }
        }
    }

    private static bool HasToken(Draft draft) =>
        draft.IsGiven("auth.token") || draft.IsGiven("auth.token_file") || draft.IsAtFault("auth.token") || draft.IsAtFault("auth.token_file");
}
