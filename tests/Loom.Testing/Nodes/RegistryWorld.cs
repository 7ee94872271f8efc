using System.Collections.Immutable;
using Loom.Control.Nodes;
using Loom.Wire;

namespace Loom.Testing.Nodes;

/// <summary>A registry of nodes, a clock in seconds, and short words for what happens to it.</summary>
internal sealed class RegistryWorld
{
    public RegistryWorld(double timeout = 30, double interval = 10, double forget = 86_400)
    {
        Options = new NodesOptions
        {
            Registers = true, Timeout = TimeSpan.FromSeconds(timeout), CheckInterval = TimeSpan.FromSeconds(interval), Forget = TimeSpan.FromSeconds(forget),
        };
        Registry = new NodeRegistry(Options, id => Leases.GetValueOrDefault(id));
    }

    public NodesOptions Options { get; }

    public NodeRegistry Registry { get; }

    /// <summary>Requests of ours by replica.</summary>
    public Dictionary<ReplicaId, int> Leases { get; } = [];

    /// <summary>Seconds since the beginning.</summary>
    public double Now { get; set; }

    public TimeSpan At => TimeSpan.FromSeconds(Now);

    public DateTimeOffset Wall => DateTimeOffset.UnixEpoch.AddSeconds(Now);

    public static NodeRegistration Registration(string id, string machine = "m", string instance = "i") => new()
    {
        NodeId = id, MachineId = machine, InstanceId = instance, Address = $"http://{id}:9200", Pools = ["chat"],
    };

    public static NodeHeartbeat Heartbeat(params PoolBeat[] pools) => new() { Timestamp = DateTimeOffset.UnixEpoch, Pools = [.. pools] };

    public static PoolBeat Pool(string pool = "chat", string replica = "r0", bool ready = true, int free = 4, int total = 4, string? error = null) => new()
    {
        PoolId = pool, ReplicaId = replica, Ready = ready, Draining = false, SlotsFree = free, SlotsTotal = total, Model = "demo", ModelsAvailable = ["demo"], LastError = error,
    };

    public RegisterOutcome Register(string id, string machine = "m", string instance = "i") => Registry.Register(Registration(id, machine, instance), At, Wall);

    /// <summary>A beat whose content has the given digest.</summary>
    public BeatOutcome Beat(string id, long? seq = null, string? instance = "i", int content = 1, NodeHeartbeat? whole = null, DateTimeOffset? timestamp = null)
    {
        var digest = new BeatDigest((UInt128)content, 0, whole?.Draining ?? false);
        var outcome = Registry.Beat(id, instance, seq, digest, timestamp ?? Wall, At, Wall);
        if (outcome == BeatOutcome.NeedsContent)
        {
            Registry.Apply(id, instance, digest, whole ?? Heartbeat(Pool()), Wall);
        }

        return outcome;
    }

    public CheckResult Check() => Registry.Check(At, Wall);

    /// <summary>Time passes, checked as often as it should be.</summary>
    public CheckResult Pass(double seconds)
    {
        var last = new CheckResult([], [], []);
        for (var end = Now + seconds; Now < end;)
        {
            Now = Math.Min(end, Now + Options.CheckInterval.TotalSeconds);
            last = Check();
        }

        return last;
    }

    public NodeState StateOf(string id) => Registry.Find(id)!.Life.State;

    public ImmutableArray<ReplicaStatus> Offered(string id) => Registry.Find(id)!.Offered;
}
