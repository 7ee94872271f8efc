using System.Collections.Immutable;
using System.Net;

namespace Loom.Control.Api;

/// <summary>What a token may do.</summary>
[Flags]
public enum Scopes
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Call models.</summary>
    Inference = 1,

    /// <summary>See and change pools, nodes, catalog and detailed health.</summary>
    Manage = 2,

    /// <summary>Read metrics.</summary>
    Metrics = 4,

    /// <summary>Register and beat as a node.</summary>
    Node = 8,

    /// <summary>All of them.</summary>
    All = Inference | Manage | Metrics | Node,
}

/// <summary>A client key of <c>[auth.keys.NAME]</c>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Sha256">Digest of the key, 64 hex digits.</param>
/// <param name="Scopes">What it may do.</param>
public sealed record ClientKey(string Name, string Sha256, Scopes Scopes);

/// <summary>Settings of the API listener.</summary>
public sealed record ApiOptions
{
    /// <summary>Address of the API; port 0 = any free port; default 127.0.0.1:8080 (<c>serving.bind</c>).</summary>
    public IPEndPoint Bind { get; init; } = new(IPAddress.Loopback, 8080);

    /// <summary>Port of the metrics listener on the same address; null = none; default 9090 (<c>telemetry.metrics_port</c>, where 0 = none).</summary>
    public int? MetricsPort { get; init; } = 9090;

    /// <summary>The token of <c>LLORCH_API_TOKEN</c>, which has every scope; null = none set.</summary>
    public string? Token { get; init; }

    /// <summary>The token of <c>.loom/run/token</c>, which has every scope; null = none.</summary>
    public string? RunToken { get; init; }

    /// <summary>Client keys.</summary>
    public ImmutableArray<ClientKey> Keys { get; init; } = [];

    /// <summary>Host names accepted on a loopback bind (<c>serving.allowed_hosts</c>).</summary>
    public ImmutableArray<string> AllowedHosts { get; init; } = ["localhost", "127.0.0.1", "::1"];

    /// <summary>Further browser origins (<c>serving.allowed_origins</c>).</summary>
    public ImmutableArray<string> AllowedOrigins { get; init; } = [];

    /// <summary>Name of the profile, shown by capabilities: HOME or CLOUD.</summary>
    public string Profile { get; init; } = "HOME";

    /// <summary>Commit this program was built from; null = unknown.</summary>
    public string? BuildCommit { get; init; }

    /// <summary>When it was built, RFC 3339; null = unknown.</summary>
    public string? BuildTime { get; init; }
}
