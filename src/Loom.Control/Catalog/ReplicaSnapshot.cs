using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>One consistent view of all replicas and of the names that lead to them. Immutable.</summary>
public sealed class ReplicaSnapshot
{
    internal const string DefaultName = "default";

    private readonly FrozenDictionary<string, ModelRoute> _routes;
    private readonly FrozenDictionary<string, ModelRoute>.AlternateLookup<ReadOnlySpan<char>> _byChars;

    private ReplicaSnapshot(ImmutableArray<Replica> replicas, FrozenDictionary<string, ModelRoute> routes)
    {
        Replicas = replicas;
        _routes = routes;
        _byChars = routes.GetAlternateLookup<ReadOnlySpan<char>>();
        ModelIds = [.. replicas.SelectMany(r => r.Status.Models).Distinct(StringComparer.Ordinal)];
    }

    /// <summary>The view before any node has spoken.</summary>
    public static ReplicaSnapshot Empty { get; } = Build([], null);

    /// <summary>All replicas, sorted by node, pool and replica.</summary>
    public ImmutableArray<Replica> Replicas { get; }

    /// <summary>Ids of all models some pool lists, in the order of replicas.</summary>
    public ImmutableArray<string> ModelIds { get; }

    /// <summary>Every name a request may use.</summary>
    public IEnumerable<string> Names => _routes.Keys;

    /// <summary>Finds one replica; null when no node names it.</summary>
    public Replica? Find(ReplicaId id)
    {
        var (low, high) = (0, Replicas.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            switch (Order(Replicas[middle].Status.Id, id))
            {
                case 0:
                    return Replicas[middle];
                case < 0:
                    low = middle + 1;
                    break;
                default:
                    high = middle - 1;
                    break;
            }
        }

        return null;
    }

    private static int Order(ReplicaId a, ReplicaId b) =>
        string.CompareOrdinal(a.NodeId, b.NodeId) is not 0 and var node ? node
        : string.CompareOrdinal(a.PoolId, b.PoolId) is not 0 and var pool ? pool
        : string.CompareOrdinal(a.ReplicaName, b.ReplicaName);

    /// <summary>Finds the route of a model name.</summary>
    public bool TryResolve(string name, [NotNullWhen(true)] out ModelRoute? route) => _routes.TryGetValue(name, out route);

    /// <summary>Finds the route of a model name given as UTF-8, without making a string of it.</summary>
    internal bool TryResolve(ReadOnlySpan<byte> utf8Name, [NotNullWhen(true)] out ModelRoute? route)
    {
        const int LongestName = 512;
        route = null;
        if (utf8Name.Length > LongestName)
        {
            return false;
        }

        Span<char> chars = stackalloc char[LongestName];
        return Encoding.UTF8.TryGetChars(utf8Name, chars, out var length) && _byChars.TryGetValue(chars[..length], out route);
    }

    /// <summary>Builds the next view; loads and measurements of <paramref name="previous"/> live on.</summary>
    internal static ReplicaSnapshot Build(ImmutableArray<ReplicaStatus> statuses, ReplicaSnapshot? previous)
    {
        var loads = previous?.Replicas.ToDictionary(r => r.Status.Id, r => r.Load) ?? [];
        Replica[] replicas =
        [
            .. statuses
                .OrderBy(s => s.Id.NodeId, StringComparer.Ordinal).ThenBy(s => s.Id.PoolId, StringComparer.Ordinal).ThenBy(s => s.Id.ReplicaName, StringComparer.Ordinal)
                .Select(s => new Replica(s, LoadOf(s, loads.GetValueOrDefault(s.Id)))),
        ];

        var routes = new Dictionary<string, ModelRoute>(StringComparer.Ordinal);
        void Add(string name, string model, Replica[] offering)
        {
            if (offering.Length > 0)
            {
                var stats = previous is not null && previous.TryResolve(name, out var before) ? before.Stats : new RouteStats();
                routes.TryAdd(name, new ModelRoute(name, model, offering, stats));
            }
        }

        // Order of precedence: alias of a pool, id of a model, "default".
        foreach (var alias in replicas.SelectMany(r => r.Status.Aliases).Distinct(StringComparer.Ordinal))
        {
            var pool = Array.FindAll(replicas, r => r.Status.Aliases.Contains(alias));
            Add(alias, pool[0].Status.Model, pool);
        }

        foreach (var model in replicas.SelectMany(r => r.Status.Models).Distinct(StringComparer.Ordinal))
        {
            Add(model, model, Array.FindAll(replicas, r => r.Status.Models.Contains(model)));
        }

        var main = Array.FindAll(replicas, r => r.Status.Id.PoolId == DefaultName);
        if (main.Length > 0)
        {
            Add(DefaultName, main[0].Status.Model, main);
        }

        return new ReplicaSnapshot([.. replicas], routes.ToFrozenDictionary(StringComparer.Ordinal));
    }

    // A replica without an address is between two moments of a run, or between two runs; which of them its next address tells.
    private static ReplicaLoad LoadOf(ReplicaStatus status, ReplicaLoad? before) =>
        before is not null && (status.Url is null || status.Url == before.Url) ? before : new ReplicaLoad(status.Id, status.Url);
}
