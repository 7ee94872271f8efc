using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>Makes replicas as the gateway knows them out of what a node says.</summary>
internal static class BeatReplicas
{
    // Free memory moves all the time and only breaks ties; what a placement could not tell apart is not worth a new view of everything.
    private const long VramGrain = 64L << 20;

    /// <summary>The replicas of a beat, sorted by pool and replica. One that says nothing new stays the same object.</summary>
    /// <param name="node">Whose they are.</param>
    /// <param name="beats">What it says; a replica named twice counts as first named.</param>
    /// <param name="before">Its replicas so far.</param>
    /// <param name="leases">How many requests of ours a replica is working on.</param>
    public static ImmutableArray<ReplicaStatus> Of(
        NodeRegistration node, ImmutableArray<PoolBeat> beats, ImmutableArray<ReplicaStatus> before, Func<ReplicaId, int> leases)
    {
        var replicas = new List<ReplicaStatus>(beats.Length);
        foreach (var beat in beats)
        {
            var status = Of(node, beat, leases);
            if (!replicas.Exists(r => r.Id == status.Id))
            {
                replicas.Add(before.FirstOrDefault(b => b.Id == status.Id) is { } known && Same(known, status) ? known : status);
            }
        }

        replicas.Sort(static (a, b) => Order(a.Id, b.Id));
        return Unchanged(before, replicas) ? before : [.. replicas];
    }

    /// <summary>The order of replicas of one node.</summary>
    public static int Order(ReplicaId a, ReplicaId b) =>
        string.CompareOrdinal(a.PoolId, b.PoolId) is not 0 and var pool ? pool : string.CompareOrdinal(a.ReplicaName, b.ReplicaName);

    /// <summary>The replicas of a node that is silent or refuses connections.</summary>
    public static ImmutableArray<ReplicaStatus> Held(ImmutableArray<ReplicaStatus> told, ReplicaState state, string reason) =>
        [.. told.Select(r => r with { Node = NodeCondition.Offline, State = state, LastError = reason })];

    /// <summary>The replicas of a node that gets no new work. What is stopped there stays so.</summary>
    public static ImmutableArray<ReplicaStatus> Draining(ImmutableArray<ReplicaStatus> told) =>
        [.. told.Select(r => r with { Node = NodeCondition.Draining, State = r.State is ReplicaState.Ready or ReplicaState.Reloading ? ReplicaState.Draining : r.State })];

    private static ReplicaStatus Of(NodeRegistration node, PoolBeat beat, Func<ReplicaId, int> leases)
    {
        var id = new ReplicaId(node.NodeId, beat.PoolId, beat.ReplicaId);
        var url = $"{node.Address}/v2/pools/{beat.PoolId}/replicas/{beat.ReplicaId}/v1";
        var total = Math.Max(1, beat.SlotsTotal);
        if (beat.Status is { } whole)
        {
            // What the node knows of itself counts; where it is reached is ours to say.
            return whole with { Id = id, Node = NodeCondition.Online, Url = whole.Url is null ? null : url, SlotsTotal = total, VramFreeBytes = beat.VramFreeBytes ?? whole.VramFreeBytes };
        }

        var free = Math.Clamp(beat.SlotsFree, 0, total);
        var models = beat.ModelsAvailable.IsEmpty ? ImmutableArray.Create(beat.Model ?? beat.PoolId) : beat.ModelsAvailable;
        return new ReplicaStatus
        {
            Id = id,
            State = beat.Draining ? ReplicaState.Draining : beat.Ready ? ReplicaState.Ready : ReplicaState.Unready,
            EngineKind = beat.Engine ?? "command",
            EngineVersion = beat.EngineVersion,
            Model = beat.Model ?? models[0],
            Models = models,
            Url = url,
            SlotsTotal = total,
            SlotsBusyElsewhere = free == total ? 0 : Math.Max(0, total - free - leases(id)),
            VramFreeBytes = beat.VramFreeBytes,
            LastError = beat.Ready ? null : beat.LastError,
            Mock = node.Mock,
        };
    }

    private static bool Unchanged(ImmutableArray<ReplicaStatus> before, List<ReplicaStatus> now)
    {
        if (before.Length != now.Count)
        {
            return false;
        }

        for (var i = 0; i < now.Count; i++)
        {
            if (!ReferenceEquals(before[i], now[i]))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether two say the same, but for what does not matter.</summary>
    internal static bool Same(ReplicaStatus a, ReplicaStatus b)
    {
        // Lists compare by identity in a record; they are compared here and made one for the rest.
        var lists = a.Models.AsSpan().SequenceEqual(b.Models.AsSpan()) && a.Aliases.AsSpan().SequenceEqual(b.Aliases.AsSpan())
            && a.Capabilities.AsSpan().SequenceEqual(b.Capabilities.AsSpan()) && a.DeviceMask.AsSpan().SequenceEqual(b.DeviceMask.AsSpan());
        var vram = a.VramFreeBytes is { } x && b.VramFreeBytes is { } y ? Math.Abs(x - y) < VramGrain : a.VramFreeBytes == b.VramFreeBytes;
        return lists && vram
            && a == b with { Models = a.Models, Aliases = a.Aliases, Capabilities = a.Capabilities, DeviceMask = a.DeviceMask, VramFreeBytes = a.VramFreeBytes };
    }
}
