using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Node.Link;

/// <summary>Settings of the agent's listener and of its way to the control plane.</summary>
public static class LinkSettings
{
    public static readonly Setting<HostPort> Bind = Setting.Address("serving.node.bind", "Address of the node agent.", "127.0.0.1:9200", cloud: "0.0.0.0:9200",
        variables: ["POOL_MANAGERD_BIND_ADDR"], source: "seeds/001");

    public static readonly Setting<ImmutableArray<Uri>> ControlPlanes = Setting.UrlList("serving.node.control_plane_url",
        "Address of the control plane; several when there are several.", cloud: "required", variables: ["ORCHESTRATORD_URL"], source: "seeds/001");

    public static readonly Setting<long> Heartbeat = Setting.Int("serving.node.heartbeat_interval_secs",
        "Pause between heartbeats; should be shorter than serving.node_timeout_ms.", "10", min: "1", max: "60", unit: "s",
        variables: ["POOL_MANAGERD_HEARTBEAT_INTERVAL_SECS"], source: "seeds/001");

    public static readonly Setting<Uri> Advertise = Setting.Url("serving.node.advertise_url", "URL the node advertises; unset = derived.", variables: ["POOL_MANAGERD_ADDRESS"]);

    public static readonly Setting<string> MachineId = Setting.String("serving.node.machine_id", "Tells a restart from an impostor; unset = hash of the OS machine id.",
        max: "128");

    /// <summary>Every row of this room.</summary>
    internal static ImmutableArray<Setting> All { get; } = [Bind, ControlPlanes, Heartbeat, Advertise, MachineId];
}
