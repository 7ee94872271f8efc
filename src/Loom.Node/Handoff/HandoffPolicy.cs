using System.Net;
using Loom.Core.Storage;
using Loom.Node.Plans;
using Loom.Wire;

namespace Loom.Node.Handoff;

/// <summary>What the watcher knows while it judges.</summary>
/// <param name="User">User id of this process.</param>
/// <param name="Pool">The pool of that name on this node; null = there is none.</param>
/// <param name="Provider">Base address of the provider behind a pool of kind <c>openai</c>; null = it is none.</param>
public sealed record HandoffSurroundings(uint User, Func<string, PoolPlan?> Pool, Func<PoolPlan, Uri?> Provider)
{
    /// <summary>Those of a node.</summary>
    public static HandoffSurroundings Of(NodeOptions options) => new(
        PrivateFolder.User,
        id => options.Pools.FirstOrDefault(p => p.Id == id),
        pool => pool.Engine.Provider is { } name && options.Providers.TryGetValue(name, out var provider) ? provider.BaseUrl : null);
}

/// <summary>The rules of handoff files. Pure: it reads nothing and moves nothing.</summary>
public static class HandoffPolicy
{
    /// <summary>Largest file that is read, bytes.</summary>
    public const long MostBytes = 1 << 20;

    /// <summary>Scans after which a file that cannot be read is put away; both this and <see cref="PatienceTime"/> must have passed.</summary>
    public const int PatienceScans = 5;

    /// <summary>Time after which a file that cannot be read is put away.</summary>
    public static TimeSpan PatienceTime { get; } = TimeSpan.FromSeconds(5);

    /// <summary>Whether a name is one of a handoff file at all: everything else in the folder is left alone.</summary>
    public static bool IsHandoff(string name, FileKind kind) =>
        kind == FileKind.Regular && name.EndsWith(".json", StringComparison.Ordinal) && !name.StartsWith('.');

    /// <summary>Why a file must not even be read; null = it may.</summary>
    public static string? Refusal(FileFacts file, uint user) => file switch
    {
        _ when file.Owner != user && file.Owner != 0 => $"it belongs to user id {file.Owner}; expected {user}, the user of this agent, or root",
        { Bytes: > MostBytes } => $"it has {file.Bytes} bytes; expected at most {MostBytes}",
        _ => null,
    };

    /// <summary>Why a document that was read is refused; null = it is taken.</summary>
    public static string? Refusal(HandoffDocument document, HandoffSurroundings around)
    {
        var pool = around.Pool(document.PoolId!);
        return document.State == "running" ? RunningRefusal(document, pool, around) : PreparedRefusal(document, pool);
    }

    private static string? RunningRefusal(HandoffDocument document, PoolPlan? pool, HandoffSurroundings around)
    {
        if (document.Url is not { } text)
        {
            return "url: expected the address of the running engine, found nothing";
        }

        var url = new Uri(text);
        if (!IsLoopback(url) && !(pool is not null && around.Provider(pool) is { } listed && SameHost(url, listed)))
        {
            return $"url: expected an address of this machine (127.0.0.0/8, ::1, localhost){(pool is null ? "" : $" or one that pool '{pool.Id}' lists")}, found {text}";
        }

        return null;
    }

    /// <summary>
    /// Name of the replica that somebody else runs: the one written, unless it is one of the node's own, which are not pushed aside: then the newcomer stands
    /// beside them as <c>handoff-r0</c>.
    /// </summary>
    public static string RunningName(HandoffDocument document, PoolPlan? pool) =>
        pool is not null && IsOwn(pool, document.ReplicaId!) ? "handoff-" + document.ReplicaId : document.ReplicaId!;

    private static string? PreparedRefusal(HandoffDocument document, PoolPlan? pool)
    {
        if (pool is null)
        {
            return $"pool_id: there is no pool '{document.PoolId}' on this node; expected the name of a [serving.pools.*]";
        }

        if (document.Engine is { } kind && kind != pool.Engine.Kind)
        {
            return $"engine: expected {pool.Engine.Kind}, the kind of pool '{pool.Id}', found {kind}";
        }

        if (pool.Engine.Kind == EngineKinds.OpenAI)
        {
            return $"pool_id: pool '{pool.Id}' is a provider's API, nothing is started for it";
        }

        return IsOwn(pool, document.ReplicaId!)
            ? null
            : $"replica_id: pool '{pool.Id}' has the replicas r0 to r{pool.Replicas - 1} on this node, found {document.ReplicaId}";
    }

    private static bool IsOwn(PoolPlan pool, string replica) => Enumerable.Range(0, pool.Replicas).Any(i => replica == $"r{i}");

    private static bool IsLoopback(Uri url) => url.Host is "localhost"
        || (IPAddress.TryParse(url.Host.Trim('[', ']'), out var address) && IPAddress.IsLoopback(address));

    private static bool SameHost(Uri one, Uri other) => one.Scheme == other.Scheme && one.Authority.Equals(other.Authority, StringComparison.OrdinalIgnoreCase);
}
