using System.Collections.Immutable;
using System.Net;
using Loom.Core.Web;

namespace Loom.Control.Api;

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

    /// <summary>Who may use the listener.</summary>
    public GateOptions Gate => new()
    {
        Address = Bind.Address, Token = Token, RunToken = RunToken, Keys = Keys, AllowedHosts = AllowedHosts, AllowedOrigins = AllowedOrigins,
    };

    /// <summary>Name of the profile, shown by capabilities: HOME or CLOUD.</summary>
    public string Profile { get; init; } = "HOME";

    /// <summary>Commit this program was built from; null = unknown.</summary>
    public string? BuildCommit { get; init; }

    /// <summary>When it was built, RFC 3339; null = unknown.</summary>
    public string? BuildTime { get; init; }
}
