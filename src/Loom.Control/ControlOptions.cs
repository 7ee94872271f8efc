using Loom.Control.Admission;
using Loom.Control.Api;
using Loom.Control.Gateway;
using Loom.Control.Nodes;
using Loom.Core.Settings;
using Loom.Core.Web;

namespace Loom.Control;

/// <summary>Settings of the control plane, by feature folder.</summary>
public sealed record ControlOptions
{
    /// <summary>Listener and tokens.</summary>
    public ApiOptions Api { get; init; } = new();

    /// <summary>Queue and placement.</summary>
    public AdmissionOptions Admission { get; init; } = new();

    /// <summary>The request path.</summary>
    public GatewayOptions Gateway { get; init; } = new();

    /// <summary>The registry of nodes.</summary>
    public NodesOptions Nodes { get; init; } = new();

    /// <summary>How long requests may finish at shutdown, default 30 s (<c>serving.drain_deadline_ms</c>).</summary>
    public TimeSpan DrainDeadline { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Reads the settings. What they do not hold (run token, build) is added with <c>with</c>.</summary>
    /// <exception cref="System.Net.Sockets.SocketException">The host name of <c>serving.bind</c> has no address.</exception>
    public static ControlOptions From(SettingsSnapshot settings) => new()
    {
        Api = new ApiOptions
        {
            Bind = settings.Get(ControlSettings.Bind).Resolve(),
            MetricsPort = settings.Get(SharedSettings.MetricsPort) is > 0 and var port ? (int)port : null,
            Token = settings.GetOrNull(SharedSettings.Token)?.Reveal(),
            Keys = [.. settings.Names("auth.keys").Select(name => KeyOf(settings, name))],
            AllowedHosts = settings.Get(ControlSettings.AllowedHosts),
            AllowedOrigins = [.. settings.Get(ControlSettings.AllowedOrigins).Select(u => u.GetLeftPart(UriPartial.Authority))],
            Profile = settings.Profile.ToString().ToUpperInvariant(),
        },
        Admission = new AdmissionOptions
        {
            Capacity = (int)settings.Get(ControlSettings.Capacity),
            Policy = settings.Get(ControlSettings.Policy),
            BatchMaxWait = TimeSpan.FromSeconds(settings.Get(ControlSettings.BatchMaxWait)),
            Strategy = settings.Get(ControlSettings.Strategy),
            DispatchAttempts = (int)settings.Get(ControlSettings.DispatchAttempts),
        },
        Gateway = new GatewayOptions
        {
            MaxBodyBytes = settings.Get(ControlSettings.MaxBodyBytes),
            QueueTimeout = Ms(settings, ControlSettings.QueueTimeout),
            FirstTokenTimeout = Ms(settings, ControlSettings.FirstTokenTimeout),
            StreamIdleTimeout = Ms(settings, ControlSettings.StreamIdleTimeout),
            ClientStallTimeout = Ms(settings, ControlSettings.ClientStallTimeout),
            SseKeepAlive = Ms(settings, ControlSettings.SseKeepAlive),
            SseEarlyHeaders = Ms(settings, ControlSettings.SseEarlyHeaders),
        },
        Nodes = new NodesOptions
        {
            Registers = settings.Get(ControlSettings.CloudProfile),
            Timeout = Ms(settings, ControlSettings.NodeTimeout),
            CheckInterval = TimeSpan.FromSeconds(settings.Get(ControlSettings.StaleCheck)),
            Forget = TimeSpan.FromSeconds(settings.Get(ControlSettings.NodeForget)),
            DrainDeadline = Ms(settings, SharedSettings.DrainDeadline),
        },
        DrainDeadline = Ms(settings, SharedSettings.DrainDeadline),
    };

    private static TimeSpan Ms(SettingsSnapshot settings, Setting<long> setting) => TimeSpan.FromMilliseconds(settings.Get(setting));

    private static ClientKey KeyOf(SettingsSnapshot settings, string name)
    {
        var scopes = settings.Get(ControlSettings.KeyScopes, name).Aggregate(Scopes.None, (all, one) => all | Enum.Parse<Scopes>(one, ignoreCase: true));
        return new ClientKey(name, settings.Get(ControlSettings.KeySha256, name), scopes);
    }
}
