using System.Collections.Immutable;
using System.Globalization;
using Loom.Control.Admission;
using Loom.Control.Api;
using Loom.Control.Gateway;
using Loom.Control.Nodes;
using Loom.Control.Sessions;
using Loom.Control.Tasks;
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

    /// <summary>Tasks, sessions and what is kept on disk.</summary>
    public TaskOptions Tasks { get; init; } = new();

    /// <summary>Whether engines started by hand may register (<c>--dev</c>), default false.</summary>
    public bool Dev { get; init; }

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
        Tasks = new TaskOptions
        {
            Durable = settings.Get(ControlSettings.TasksDurable),
            Retention = TimeSpan.FromSeconds(settings.Get(ControlSettings.TasksRetention)),
            StateFolder = Path.Combine(settings.ProjectFolder, ".loom", "state"),
            Prices = PricesOf(settings),
        },
        DrainDeadline = Ms(settings, SharedSettings.DrainDeadline),
    };

    private static TimeSpan Ms(SettingsSnapshot settings, Setting<long> setting) => TimeSpan.FromMilliseconds(settings.Get(setting));

    // A free table is the provider's own; these two of its names are ours.
    private static ImmutableDictionary<string, Price> PricesOf(SettingsSnapshot settings)
    {
        double Rate(string provider, string name) =>
            settings.Names("llm.*.extra", provider).Contains(name)
            && double.TryParse(settings.Get(ProviderSettings.Extra, provider, name).Json, NumberStyles.Float, CultureInfo.InvariantCulture, out var rate) && rate >= 0
                ? rate
                : 0;
        return settings.Names("llm")
            .Select(name => (Pool: $"llm-{name}", Price: new Price(Rate(name, "prompt_rate"), Rate(name, "completion_rate"))))
            .Where(p => p.Price != new Price(0, 0))
            .ToImmutableDictionary(p => p.Pool, p => p.Price, StringComparer.Ordinal);
    }

    private static ClientKey KeyOf(SettingsSnapshot settings, string name)
    {
        var scopes = settings.Get(ControlSettings.KeyScopes, name).Aggregate(Scopes.None, (all, one) => all | Enum.Parse<Scopes>(one, ignoreCase: true));
        return new ClientKey(name, settings.Get(ControlSettings.KeySha256, name), scopes);
    }
}
