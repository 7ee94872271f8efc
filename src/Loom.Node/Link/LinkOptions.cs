using System.Collections.Immutable;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Loom.Core.Settings;
using Loom.Node.Settings;

namespace Loom.Node.Link;

/// <summary>Settings of the agent's listener and of its way to the control plane.</summary>
public sealed record LinkOptions
{
    /// <summary>Name of this node.</summary>
    public required string NodeId { get; init; }

    /// <summary>Tells a restart of this machine from another machine under the same name.</summary>
    public required string MachineId { get; init; }

    /// <summary>Where the agent listens; port 0 = any free port.</summary>
    public required IPEndPoint Bind { get; init; }

    /// <summary>Port of the metrics listener at the same address; null = none.</summary>
    public int? MetricsPort { get; init; }

    /// <summary>Control planes, tried in this order; empty = the agent registers nowhere (HOME).</summary>
    public ImmutableArray<Uri> ControlPlanes { get; init; } = [];

    /// <summary>Longest pause between heartbeats; the control plane may ask for a shorter one. Default 10 s.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>URL the agent advertises; null = derived from the bind address, or from the way to the control plane.</summary>
    public Uri? Advertise { get; init; }

    /// <summary>The token of <c>LLORCH_API_TOKEN</c>, shown to the control plane and asked of it; null = none.</summary>
    public string? Token { get; init; }

    /// <summary>The token of <c>.loom/run/token</c>; null = none.</summary>
    public string? RunToken { get; init; }

    /// <summary>Host names accepted on a loopback bind.</summary>
    public ImmutableArray<string> AllowedHosts { get; init; } = ["localhost", "127.0.0.1", "::1"];

    /// <summary>Time running work has at shutdown. Default 30 s (<c>serving.drain_deadline_ms</c>).</summary>
    public TimeSpan DrainDeadline { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Reads the settings. What they do not hold (run token, hosts) is added with <c>with</c>.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The host name of <c>serving.node.bind</c> has no address.</exception>
    public static LinkOptions From(SettingsSnapshot settings)
    {
        var controlPlanes = settings.Get(LinkSettings.ControlPlanes);
        return new LinkOptions
        {
            NodeId = settings.Get(NodeSettings.NodeId),
            MachineId = settings.GetOrNull(LinkSettings.MachineId) ?? OwnMachineId(),
            Bind = settings.Get(LinkSettings.Bind).Resolve(),
            MetricsPort = settings.Get(SharedSettings.MetricsPort) is > 0 and var port ? (int)port : null,
            ControlPlanes = settings.Profile == SettingsProfile.Cloud ? controlPlanes : [],
            Heartbeat = TimeSpan.FromSeconds(settings.Get(LinkSettings.Heartbeat)),
            DrainDeadline = TimeSpan.FromMilliseconds(settings.Get(SharedSettings.DrainDeadline)),
            Advertise = settings.GetOrNull(LinkSettings.Advertise),
            Token = settings.GetOrNull(SharedSettings.Token)?.Reveal(),
        };
    }

    // The id itself is not to be shown to others, says its manual; a digest of it is as good.
    private static string OwnMachineId()
    {
        const string Path = "/etc/machine-id";
        var id = File.Exists(Path) ? File.ReadAllText(Path).Trim() : "";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("loom-node:" + (id.Length > 0 ? id : Environment.MachineName))).AsSpan(0, 16));
    }
}
