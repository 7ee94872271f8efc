using System.Collections.Immutable;
using System.Globalization;
using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>What came of a registration.</summary>
internal enum RegisterOutcome
{
    /// <summary>A node nobody knew.</summary>
    New,

    /// <summary>The same instance once more; nothing changed.</summary>
    Again,

    /// <summary>A new start of a known node: what ran on the old one is lost.</summary>
    Restarted,

    /// <summary>Another machine under the name of one that is offline.</summary>
    Replaced,

    /// <summary>Another machine under the name of one that is there: refused.</summary>
    InUse,
}

/// <summary>What came of a beat.</summary>
internal enum BeatOutcome
{
    /// <summary>Nobody knows the node, or not this start of it: it must register.</summary>
    Unknown,

    /// <summary>It came after a newer one and says nothing.</summary>
    Older,

    /// <summary>Taken; it said nothing new.</summary>
    Same,

    /// <summary>Taken up to its content, which is new and must be given to <see cref="NodeRegistry.Apply"/>.</summary>
    NeedsContent,
}

/// <summary>What a check found.</summary>
/// <param name="Lost">Nodes that are offline now: what ran on them has failed.</param>
/// <param name="Doubted">Nodes that get no work until the next check.</param>
/// <param name="Forgotten">Nodes removed because they were offline for long.</param>
internal sealed record CheckResult(ImmutableArray<string> Lost, ImmutableArray<string> Doubted, ImmutableArray<string> Forgotten);

/// <summary>
/// All nodes of a cluster as one state machine: events and the time in, decisions out. It has no clock, no lock and does nothing to the world;
/// <see cref="NodeDirectory"/> owns it.
/// </summary>
/// <param name="options">Timeouts.</param>
/// <param name="leases">How many requests a replica is working on.</param>
internal sealed class NodeRegistry(NodesOptions options, Func<ReplicaId, int> leases)
{
    private readonly SortedDictionary<string, Node> _nodes = new(StringComparer.Ordinal);
    private TimeSpan _lastCheck;

    /// <summary>Counts up whenever the replicas that may be offered are not what they were.</summary>
    public long Version { get; private set; }

    public int Count => _nodes.Count;

    /// <summary>All nodes, by id.</summary>
    public IEnumerable<Node> Nodes => _nodes.Values;

    public Node? Find(string id) => _nodes.GetValueOrDefault(id);

    /// <summary>A node says who it is.</summary>
    public RegisterOutcome Register(NodeRegistration registration, TimeSpan now, DateTimeOffset wall)
    {
        var id = registration.NodeId;
        if (!_nodes.TryGetValue(id, out var node))
        {
            _nodes.Add(id, new Node(registration, NodeLife.Registered(now)));
            return RegisterOutcome.New;
        }

        if (node.Registration.MachineId != registration.MachineId)
        {
            if (node.Life.State != NodeState.Offline)
            {
                node.Errors = node.Errors.With(wall, $"another machine tried to register under this name from {registration.Address}");
                return RegisterOutcome.InUse;
            }

            _nodes[id] = new Node(registration, NodeLife.Registered(now)) { Errors = node.Errors.With(wall, "another machine took over the name") };
            Offer(_nodes[id], node.Offered);
            return RegisterOutcome.Replaced;
        }

        if (node.Registration.InstanceId == registration.InstanceId)
        {
            var offline = node.Life.State == NodeState.Offline;
            node.Registration = registration;
            node.Life = node.Life.RegisteredAgain(now);
            // An address may have moved; the next beat is read whole and names it.
            node.Digest = null;
            if (offline)
            {
                node.Told = [];
            }

            Offer(node, node.Offered);
            return RegisterOutcome.Again;
        }

        _nodes[id] = new Node(registration, NodeLife.Registered(now)) { Errors = node.Errors.With(wall, "the agent started anew"), Drained = node.Drained };
        Offer(_nodes[id], node.Offered);
        return RegisterOutcome.Restarted;
    }

    /// <summary>A node beats. Its content is asked for only when it is not that of the last beat.</summary>
    /// <param name="id">The node.</param>
    /// <param name="instance">Start of the agent; null = not told.</param>
    /// <param name="seq">Number within the instance; null = not told.</param>
    /// <param name="digest">Of the content.</param>
    /// <param name="timestamp">By the node's clock.</param>
    /// <param name="now">By our monotonic clock.</param>
    /// <param name="wall">By our clock.</param>
    public BeatOutcome Beat(string id, string? instance, long? seq, BeatDigest digest, DateTimeOffset timestamp, TimeSpan now, DateTimeOffset wall)
    {
        if (!_nodes.TryGetValue(id, out var node) || node.IsLocal || (instance is not null && instance != node.Registration.InstanceId))
        {
            return BeatOutcome.Unknown;
        }

        if (seq < node.Seq)
        {
            return BeatOutcome.Older;
        }

        node.Seq = seq ?? node.Seq;
        node.ClockSkew = timestamp - wall;
        var worked = node.Life.TakesWork;
        node.Life = node.Life.Beaten(now);
        if (node.Digest == digest)
        {
            if (!worked)
            {
                Offer(node, node.Offered);
            }

            return BeatOutcome.Same;
        }

        return BeatOutcome.NeedsContent;
    }

    /// <summary>Takes the content of a beat that was asked for.</summary>
    public void Apply(string id, string? instance, BeatDigest digest, NodeHeartbeat beat, DateTimeOffset wall)
    {
        if (!_nodes.TryGetValue(id, out var node) || (instance is not null && instance != node.Registration.InstanceId))
        {
            return;
        }

        foreach (var pool in beat.Pools.Where(p => p is { Ready: false, LastError: not null }))
        {
            if (!node.Pools.Any(p => p.PoolId == pool.PoolId && p.ReplicaId == pool.ReplicaId && p.LastError == pool.LastError))
            {
                node.Errors = node.Errors.With(wall, $"{pool.PoolId}/{pool.ReplicaId}: {pool.LastError}");
            }
        }

        // How busy others keep it follows from its free slots and from our own work, so the same words may mean something else next time.
        node.Digest = beat.Pools.Any(p => p.Status is null && p.SlotsFree < p.SlotsTotal) ? null : digest;
        node.Pools = [.. beat.Pools.Select(p => p with { Status = null, SlotsFree = Math.Clamp(p.SlotsFree, 0, Math.Max(0, p.SlotsTotal)) })];
        node.Gpus = beat.Gpus ?? node.Gpus;
        node.Leaving = beat.Draining;
        node.Told = BeatReplicas.Of(node.Registration, beat.Pools, node.Told, leases);
        Offer(node, node.Offered);
    }

    /// <summary>The node in this process says how its replicas are.</summary>
    public void TellLocal(NodeRegistration registration, ImmutableArray<ReplicaStatus> replicas, TimeSpan now)
    {
        if (!_nodes.TryGetValue(registration.NodeId, out var node))
        {
            _nodes.Add(registration.NodeId, node = new Node(registration, NodeLife.Registered(now).Beaten(now)) { IsLocal = true });
        }

        node.Registration = registration;
        node.Life = node.Life.Beaten(now);
        node.Gpus = registration.Capabilities.Gpus;
        node.Pools = [.. replicas.Select(r => PoolBeats.Of(r) with { Status = null })];
        node.Told = [.. replicas.Sort(static (a, b) => BeatReplicas.Order(a.Id, b.Id))];
        Offer(node, node.Offered);
    }

    /// <summary>A node refused a connection: no work until it beats.</summary>
    /// <returns>Whether that is news.</returns>
    public bool Refused(string id, string reason, DateTimeOffset wall)
    {
        if (!_nodes.TryGetValue(id, out var node) || node.IsLocal || !node.Life.TakesWork)
        {
            return false;
        }

        node.Life = node.Life with { Refused = true };
        node.Errors = node.Errors.With(wall, reason);
        Offer(node, node.Offered);
        return true;
    }

    /// <summary>Starts or ends the draining of a node by an operator; false = unknown node.</summary>
    public bool Drain(string id, bool drained)
    {
        if (!_nodes.TryGetValue(id, out var node))
        {
            return false;
        }

        node.Drained = drained;
        Offer(node, node.Offered);
        return true;
    }

    /// <summary>Forgets a node and its pools; false = nobody knew it, or it lives in this process.</summary>
    public bool Remove(string id)
    {
        if (!_nodes.TryGetValue(id, out var node) || node.IsLocal)
        {
            return false;
        }

        _nodes.Remove(id);
        Version += node.Offered.IsEmpty ? 0 : 1;
        return true;
    }

    /// <summary>Looks for silent nodes, and for those offline so long that they are forgotten.</summary>
    public CheckResult Check(TimeSpan now, DateTimeOffset wall)
    {
        var sinceLast = now - _lastCheck;
        _lastCheck = now;
        List<Node>? stale = null;
        List<string>? forgotten = null;
        var online = 0;
        foreach (var node in _nodes.Values)
        {
            online += node.Life.State == NodeState.Online && !node.IsLocal ? 1 : 0;
            if (!node.IsLocal && node.Life.IsStale(now, options.Timeout))
            {
                (stale ??= []).Add(node);
            }
            else if (node.Life.IsForgotten(now, options.Forget))
            {
                (forgotten ??= []).Add(node.Registration.NodeId);
            }
        }

        var newlySilent = stale?.Count(n => n.Life is { State: NodeState.Online, Doubted: false }) ?? 0;
        var doubts = StaleCheck.Doubts(online, newlySilent, sinceLast, options.CheckInterval);
        var result = Judge(stale ?? [], doubts, now, wall);
        foreach (var id in forgotten ?? [])
        {
            Remove(id);
        }

        return result with { Forgotten = [.. forgotten ?? []] };
    }

    /// <summary>All replicas as the gateway may see them now, sorted by node, pool and replica.</summary>
    public ImmutableArray<ReplicaStatus> Offers()
    {
        var all = ImmutableArray.CreateBuilder<ReplicaStatus>(_nodes.Count * 4);
        foreach (var node in _nodes.Values)
        {
            all.AddRange(node.Offered);
        }

        return all.DrainToImmutable();
    }

    private CheckResult Judge(List<Node> stale, bool doubts, TimeSpan now, DateTimeOffset wall)
    {
        var lost = ImmutableArray.CreateBuilder<string>();
        var doubted = ImmutableArray.CreateBuilder<string>();
        foreach (var node in stale)
        {
            if (doubts && !node.Life.Doubted)
            {
                node.Life = node.Life with { Doubted = true };
                doubted.Add(node.Registration.NodeId);
            }
            else
            {
                var seconds = (now - node.Life.HeardAt).TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture);
                node.Errors = node.Errors.With(wall, $"silent for {seconds} s, taken for offline");
                node.Life = node.Life.Lost(now);
                lost.Add(node.Registration.NodeId);
            }

            Offer(node, node.Offered);
        }

        return new CheckResult(lost.DrainToImmutable(), doubted.DrainToImmutable(), []);
    }

    private void Offer(Node node, ImmutableArray<ReplicaStatus> before)
    {
        var id = node.Registration.NodeId;
        node.Offered = node.Life switch
        {
            { State: NodeState.Offline } => BeatReplicas.Held(node.Told, ReplicaState.Failed, $"node '{id}' is offline"),
            { State: NodeState.Registering } => [],
            { Doubted: true } => BeatReplicas.Held(node.Told, ReplicaState.Unready, $"node '{id}' is silent, and so are many others; the next check decides"),
            { Refused: true } => BeatReplicas.Held(node.Told, ReplicaState.Unready, $"node '{id}' refused a connection and has not spoken since"),
            _ when node.Drained || node.Leaving => BeatReplicas.Draining(node.Told),
            _ => node.Told,
        };
        Version += node.Offered == before || (node.Offered.IsEmpty && before.IsEmpty) ? 0 : 1;
    }
}
