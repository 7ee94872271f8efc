using Loom.Control.Nodes;
using Loom.Wire;

namespace Loom.Testing.Nodes;

/// <summary>What the registry of nodes must say, worked out again from the rules as plainly as can be. Times are seconds.</summary>
/// <param name="timeout">Silence after which a node is lost.</param>
/// <param name="interval">Pause between two checks.</param>
/// <param name="forget">Time offline after which a node is removed.</param>
internal sealed class NodeModel(double timeout, double interval, double forget)
{
    private readonly Dictionary<string, Fate> _fates = new(StringComparer.Ordinal);
    private double _lastCheck;

    public int Count => _fates.Count;

    public string Register(string id, string machine, string instance, double now)
    {
        var known = _fates.GetValueOrDefault(id);
        if (known is not null && known.Machine != machine && known.State != "offline")
        {
            return "in use";
        }

        if (known is not null && known.Machine == machine && known.Instance == instance)
        {
            known.HeardAt = now;
            known.Doubted = false;
            if (known.State == "offline")
            {
                known.State = "registering";
                known.Since = now;
                known.Refused = false;
            }

            return "again";
        }

        _fates[id] = new Fate { Machine = machine, Instance = instance, State = "registering", HeardAt = now, Since = now, Drained = known is not null && known.Machine == machine && known.Drained };
        return known is null ? "new" : known.Machine == machine ? "restarted" : "replaced";
    }

    public string Beat(string id, string instance, long seq, double now)
    {
        if (!_fates.TryGetValue(id, out var fate) || fate.Instance != instance)
        {
            return "unknown";
        }

        if (seq < fate.Seq)
        {
            return "older";
        }

        fate.Seq = seq;
        fate.HeardAt = now;
        fate.Doubted = fate.Refused = false;
        fate.Since = fate.State == "online" ? fate.Since : now;
        fate.State = "online";
        return "taken";
    }

    public void Refuse(string id)
    {
        if (_fates.TryGetValue(id, out var fate) && fate is { State: "online", Doubted: false })
        {
            fate.Refused = true;
        }
    }

    public void Drain(string id, bool drained)
    {
        if (_fates.TryGetValue(id, out var fate))
        {
            fate.Drained = drained;
        }
    }

    public void Remove(string id) => _fates.Remove(id);

    /// <summary>Checks; returns who is lost now.</summary>
    public IReadOnlyList<string> Check(double now)
    {
        var late = now - _lastCheck - interval > 2 * interval;
        _lastCheck = now;
        var forgotten = _fates.Where(f => f.Value.State == "offline" && now - f.Value.Since >= forget).Select(f => f.Key).ToList();
        var stale = _fates.Where(f => f.Value.State != "offline" && now - f.Value.HeardAt > timeout).ToList();
        var online = _fates.Values.Count(f => f.State == "online");
        var newly = stale.Count(f => f.Value is { State: "online", Doubted: false });
        var many = online >= 4 && newly > online / 2.0;
        var lost = new List<string>();
        foreach (var (id, fate) in stale)
        {
            if ((many || late) && !fate.Doubted)
            {
                fate.Doubted = true;
            }
            else
            {
                fate.State = "offline";
                fate.Since = now;
                fate.Doubted = fate.Refused = false;
                lost.Add(id);
            }
        }

        forgotten.ForEach(id => _fates.Remove(id));
        return lost;
    }

    /// <summary>Compares every node; null = all as it must be, else what is not.</summary>
    public string? Compare(NodeRegistry registry)
    {
        if (registry.Count != _fates.Count)
        {
            return $"{registry.Count} nodes instead of {_fates.Count}";
        }

        foreach (var (id, fate) in _fates)
        {
            if (registry.Find(id) is not { } node)
            {
                return $"{id} is missing";
            }

            var state = node.Life.State.ToString().ToLowerInvariant();
            if (state != fate.State || node.Life.Doubted != fate.Doubted || node.Life.Refused != fate.Refused || node.Drained != fate.Drained)
            {
                return $"{id} is {state}, {node.Life} instead of {fate.State}, doubted {fate.Doubted}, refused {fate.Refused}, drained {fate.Drained}";
            }

            var expected = fate switch
            {
                { State: "registering" } => (ReplicaState?)null,
                { State: "offline" } => ReplicaState.Failed,
                { Doubted: true } or { Refused: true } => ReplicaState.Unready,
                { Drained: true } => ReplicaState.Draining,
                _ => ReplicaState.Ready,
            };
            if ((node.Told.IsEmpty ? null : expected) != (node.Offered.IsEmpty ? null : node.Offered[0].State))
            {
                return $"{id} offers {(node.Offered.IsEmpty ? "nothing" : node.Offered[0].State)} instead of {expected}";
            }
        }

        return null;
    }

    private sealed class Fate
    {
        public required string Machine { get; init; }

        public required string Instance { get; init; }

        public required string State { get; set; }

        public double HeardAt { get; set; }

        public double Since { get; set; }

        public bool Doubted { get; set; }

        public bool Refused { get; set; }

        public bool Drained { get; set; }

        public long Seq { get; set; }
    }
}
