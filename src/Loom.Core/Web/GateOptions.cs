using System.Collections.Immutable;
using System.Net;

namespace Loom.Core.Web;

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

    /// <summary>Register and beat as a node; speak to a node agent.</summary>
    Node = 8,

    /// <summary>All of them.</summary>
    All = Inference | Manage | Metrics | Node,
}

/// <summary>A client key of <c>[auth.keys.NAME]</c>.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Sha256">Digest of the key, 64 hex digits.</param>
/// <param name="Scopes">What it may do.</param>
public sealed record ClientKey(string Name, string Sha256, Scopes Scopes);

/// <summary>Who may use a listener.</summary>
public sealed record GateOptions
{
    /// <summary>Address the listener is bound to: on loopback the source of a request is checked, and inference may be open.</summary>
    public required IPAddress Address { get; init; }

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

    /// <summary>Whether inference on loopback needs no token as long as none is set.</summary>
    public bool OpenInference { get; init; } = true;
}

/// <summary>Who asks.</summary>
/// <param name="Name">Name of a client key, <c>token</c> for a token of every scope, or <c>anonymous</c>.</param>
/// <param name="Scopes">What it may do.</param>
public sealed record Caller(string Name, Scopes Scopes)
{
    /// <summary>Somebody without a known token, where none is needed.</summary>
    public static Caller Anonymous { get; } = new("anonymous", Scopes.None);

    /// <summary>Whether it sees what belongs to <paramref name="owner"/>: its own, or everything with <see cref="Scopes.Manage"/>.</summary>
    public bool Sees(string owner) => (Scopes & Scopes.Manage) != 0 || string.Equals(Name, owner, StringComparison.Ordinal);
}
