using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;
using System.Text;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>One consistent view of all replicas and of the names that lead to them. Immutable, but for the counters of its replicas.</summary>
public sealed class ReplicaSnapshot
{
    internal const string DefaultName = "default";

    private readonly FrozenDictionary<string, ModelRoute> _routes;
    private readonly FrozenDictionary<string, ModelRoute>.AlternateLookup<ReadOnlySpan<char>> _byChars;

    private ReplicaSnapshot(ImmutableArray<Replica> replicas, ImmutableArray<string> modelIds, FrozenDictionary<string, ModelRoute> routes)
    {
        Replicas = replicas;
        ModelIds = modelIds;
        _routes = routes;
        _byChars = routes.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>The view before any node has spoken.</summary>
    public static ReplicaSnapshot Empty { get; } = new([], [], FrozenDictionary<string, ModelRoute>.Empty);

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

    /// <summary>The view after <paramref name="previous"/>, with its loads and measurements; null when nothing but counters changed, which are then taken over.</summary>
    internal static SnapshotChange? Next(ImmutableArray<ReplicaStatus> statuses, ReplicaSnapshot previous)
    {
        var sorted = IsSorted(statuses) ? statuses : statuses.Sort(static (a, b) => Order(a.Id, b.Id));
        var before = previous.Replicas;
        var replicas = new Replica[sorted.Length];
        List<Replica> gone = [];
        List<Replica> young = [];
        var old = 0;
        for (var i = 0; i < sorted.Length; i++)
        {
            var status = sorted[i];
            Replica? same = null;
            while (old < before.Length && Order(before[old].Status.Id, status.Id) is var order and <= 0)
            {
                same = order == 0 ? before[old] : null;
                if (order < 0)
                {
                    gone.Add(before[old]);
                }

                old++;
            }

            if (same is not null && same.TryUpdate(status))
            {
                replicas[i] = same;
                continue;
            }

            if (same is not null)
            {
                gone.Add(same);
            }

            replicas[i] = new Replica(status, LoadOf(status, same?.Load));
            young.Add(replicas[i]);
        }

        gone.AddRange(before[old..]);
        if (gone.Count == 0 && young.Count == 0)
        {
            return null;
        }

        return new SnapshotChange(Build(replicas, previous), gone, young);
    }

    private static ReplicaSnapshot Build(Replica[] replicas, ReplicaSnapshot previous)
    {
        var aliases = new Dictionary<string, List<Replica>>(StringComparer.Ordinal);
        var models = new Dictionary<string, List<Replica>>(StringComparer.Ordinal);
        List<string> ids = [];
        List<Replica> main = [];
        foreach (var replica in replicas)
        {
            foreach (var alias in replica.Status.Aliases)
            {
                Add(aliases, alias, replica);
            }

            foreach (var model in replica.Status.Models)
            {
                if (Add(models, model, replica))
                {
                    ids.Add(model);
                }
            }

            if (replica.Status.Id.PoolId == DefaultName)
            {
                main.Add(replica);
            }
        }

        // Order of precedence: alias of a pool, id of a model, "default".
        var routes = new Dictionary<string, ModelRoute>(StringComparer.Ordinal);
        var stats = new Dictionary<string, ModelStats>(StringComparer.Ordinal);
        void Route(string name, RouteKind kind, string model, List<Replica> offering)
        {
            var known = previous.TryResolve(name, out var before) ? before : null;
            if (!stats.TryGetValue(model, out var measured))
            {
                measured = known?.Model == model ? known.Stats : previous.TryResolve(model, out var byId) && byId.Model == model ? byId.Stats : new ModelStats();
                stats.Add(model, measured);
            }

            routes.TryAdd(name, new ModelRoute(name, kind, model, [.. offering], measured, known?.Turns ?? new RouteTurns()));
        }

        foreach (var (alias, pool) in aliases)
        {
            Route(alias, RouteKind.Alias, pool[0].Status.MainModel, pool);
        }

        foreach (var model in ids)
        {
            Route(model, RouteKind.Model, model, models[model]);
        }

        // A main model that its own pool does not list is withheld.
        if (main.Count > 0 && main[0].Status.Models.Contains(main[0].Status.MainModel))
        {
            Route(DefaultName, RouteKind.Default, main[0].Status.MainModel, main);
        }

        return new ReplicaSnapshot(ImmutableCollectionsMarshal.AsImmutableArray(replicas), [.. ids], routes.ToFrozenDictionary(StringComparer.Ordinal));
    }

    private static bool Add(Dictionary<string, List<Replica>> groups, string name, Replica replica)
    {
        if (groups.TryGetValue(name, out var group))
        {
            group.Add(replica);
            return false;
        }

        groups.Add(name, [replica]);
        return true;
    }

    // A replica without an address is between two moments of a run, or between two runs; which of them its next address tells.
    private static ReplicaLoad LoadOf(ReplicaStatus status, ReplicaLoad? before) =>
        before is not null && (status.Url is null || status.Url == before.Url) ? before : new ReplicaLoad(status.Id, status.Url);

    private static bool IsSorted(ImmutableArray<ReplicaStatus> statuses)
    {
        for (var i = 1; i < statuses.Length; i++)
        {
            if (Order(statuses[i - 1].Id, statuses[i].Id) > 0)
            {
                return false;
            }
        }

        return true;
    }
}
