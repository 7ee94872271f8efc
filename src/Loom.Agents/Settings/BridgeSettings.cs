using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Settings of <c>[bridge]</c>: checked and shown; the bridge itself reads them once it is built (decision 0006).</summary>
public static class BridgeSettings
{
    internal static readonly Setting<HostPort> Address = Setting.Address("bridge.address",
        "gRPC bridge; the address of another machine is connected to, not bound.", "127.0.0.1:50051", variables: ["LOOM_BRIDGE_ADDR"], source: "seeds/003");

    internal static readonly Setting<TimeSpan> Timeout = Setting.Duration("bridge.timeout_sec", "Default time of a tool call.", "30", min: "0.1", max: "86400");

    internal static readonly Setting<TimeSpan> ToolTimeoutMax = Setting.Duration("bridge.tool_timeout_max", "Longest time a tool call may ask for.", "600", min: "0.1", max: "86400");

    internal static readonly Setting<BridgeAuth> Auth = Setting.Enum<BridgeAuth>("bridge.auth", "none is accepted on loopback only, with a warning.",
        [("token", BridgeAuth.Token), ("none", BridgeAuth.None)], "token");

    internal static readonly Setting<long> MaxMessageBytes = Setting.Size("bridge.max_message_bytes", "Largest gRPC message.", "4194304", min: "1024", max: "1073741824");

    internal static readonly Setting<long> MaxEventBytes = Setting.Size("bridge.max_event_bytes", "Largest event.", "1048576", min: "256", max: "1073741824");

    internal static readonly Setting<string> TlsCert = Setting.Path("bridge.tls_cert", "TLS certificate.");

    internal static readonly Setting<string> TlsKey = Setting.Path("bridge.tls_key", "TLS key file.");

    /// <summary>Every row of this subject.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Address, Timeout, ToolTimeoutMax, Auth, MaxMessageBytes, MaxEventBytes,
        Setting.Int("bridge.max_agents", "Agents connected at once.", "1000", min: "1", max: "100000"),
        Queue("realtime", "512"), Queue("batched", "2048"), Queue("background", "4096"), Queue("inbound", "1024"), Queue("outbound", "512"), Queue("unacked", "1024"),
        Setting.Duration("bridge.resume_window", "Time a lost agent may come back to its stream.", "60", min: "0", max: "86400"),
        Setting.Duration("bridge.ack_timeout", "An event unacknowledged for this long is sent again.", "60", min: "0.1", max: "86400"),
        Setting.Int("bridge.redeliver_max", "Times an event is sent again.", "5", min: "0", max: "1000"),
        Setting.Duration("bridge.publish_wait", "Longest wait of a publisher for room.", "5", min: "0", max: "3600"),
        TlsCert, TlsKey,
    ];

    /// <summary>Whether the address is one this machine connects to: neither loopback nor all of its own.</summary>
    internal static bool IsElsewhere(HostPort address) => !address.IsLoopback && address.Host is not ("0.0.0.0" or "::");

    private static Setting<long> Queue(string name, string size) =>
        Setting.Int($"bridge.queue.{name}", $"Bound of the {name} queue.", size, min: "1", max: "1000000", unit: "events");
}

/// <summary>How agents prove who they are.</summary>
internal enum BridgeAuth
{
    Token,
    None,
}
