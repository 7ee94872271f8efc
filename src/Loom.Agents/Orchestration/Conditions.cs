using System.Globalization;
using Loom.Agents.Plans;
using Loom.Processes;

namespace Loom.Agents.Orchestration;

/// <summary>Whether a replica may start: a closed set.</summary>
internal abstract record Verdict
{
    private Verdict()
    {
    }

    /// <summary>Everything it depends on has come far enough.</summary>
    internal sealed record Holds : Verdict
    {
        internal static Holds Instance { get; } = new();
    }

    /// <summary>Not yet.</summary>
    internal sealed record NotYet(string Reason) : Verdict;

    /// <summary>Not unless somebody starts what it depends on.</summary>
    internal sealed record Never(string Reason) : Verdict;
}

/// <summary>
/// Judges conditions by the state of what they point at, as it is at the moment of the question. Asked anew after each event, so a verdict follows what it is
/// about, back and forth.
/// </summary>
internal sealed class Conditions(IReadOnlyDictionary<string, AgentReplica> replicas, HostState state)
{
    private readonly ILookup<string, string> _byAgent = replicas.Values.ToLookup(r => r.Agent.Name, r => r.Name, StringComparer.Ordinal);

    /// <summary>All conditions of an agent in one.</summary>
    internal Verdict Of(AgentPlan agent)
    {
        var waits = new List<string>();
        foreach (var dependency in agent.DependsOn)
        {
            switch (Of(dependency))
            {
                case Verdict.Never never:
                    return never;
                case Verdict.NotYet notYet:
                    waits.Add(notYet.Reason);
                    break;
            }
        }

        return waits.Count == 0 ? Verdict.Holds.Instance : new Verdict.NotYet("waits for " + string.Join(", ", waits));
    }

    /// <summary>How far a condition's target is counted as started by now, by name: replicas and pools.</summary>
    internal IEnumerable<KeyValuePair<string, int>> Starts(AgentPlan agent) => agent.DependsOn.SelectMany(d => d.On == DependencyKind.Pool
        ? [new KeyValuePair<string, int>("pools." + d.Target, Pool(d.Target).Starts)]
        : _byAgent[d.Target].Select(r => new KeyValuePair<string, int>(r, replicas[r].Spawned)));

    private Verdict Of(Dependency dependency) => dependency.On == DependencyKind.Pool ? OfPool(dependency) : OfAgent(dependency);

    private Verdict OfPool(Dependency dependency)
    {
        var pool = Pool(dependency.Target);
        var name = "pools." + dependency.Target;
        return dependency.Until switch
        {
            DependencyCondition.Started when pool.Started || pool.Ready => Verdict.Holds.Instance,
            DependencyCondition.Ready when pool.Ready => Verdict.Holds.Instance,
            DependencyCondition.Succeeded or DependencyCondition.Ended => new Verdict.Never($"needs {name} {To(dependency.Until)}, but a pool serves and does not end"),
            _ when pool.Failed => new Verdict.Never($"needs {name} {To(dependency.Until)}, but it has failed"),
            _ => new Verdict.NotYet($"{name} {To(dependency.Until)}"),
        };
    }

    private Verdict OfAgent(Dependency dependency)
    {
        if (!state.Agents.ContainsKey(dependency.Target) && !_byAgent.Contains(dependency.Target))
        {
            return new Verdict.Never($"needs {dependency.Target} {To(dependency.Until)}, but there is no such agent");
        }

        // No replicas at all: the project was told to do without it.
        var (met, all) = (0, 0);
        foreach (var replica in _byAgent[dependency.Target].Select(n => replicas[n]))
        {
            all++;
            if (Met(replica, dependency.Until))
            {
                met++;
            }
            else if (WhyNever(replica, dependency.Until) is { } why)
            {
                return new Verdict.Never($"needs {dependency.Target} {To(dependency.Until)}, but {replica.Name} {why}");
            }
        }

        if (met == all)
        {
            return Verdict.Holds.Instance;
        }

        var count = all == 1 ? string.Empty : string.Create(CultureInfo.InvariantCulture, $" ({met} of {all})");
        return new Verdict.NotYet($"{dependency.Target} {To(dependency.Until)}{count}");
    }

    /// <summary>
    /// Whether a replica has come so far. An exit with a success code counts even if the policy starts it again; any other exit only once the policy has given up.
    /// One that completed counts as ready as long as it has no probe of its own: else a quick job would hold up what a slower one lets pass.
    /// </summary>
    private static bool Met(AgentReplica replica, DependencyCondition until) => until switch
    {
        DependencyCondition.Started => replica.Told is ProcessState.Running or ProcessState.Ready or ProcessState.Unhealthy or ProcessState.Completed,
        DependencyCondition.Ready => replica.Told is ProcessState.Ready || (replica.Told is ProcessState.Completed && (replica.WasReady || replica.Process.Ready is null)),
        DependencyCondition.Succeeded => replica.Told is ProcessState.Completed || Succeeded(replica),
        DependencyCondition.Ended => replica.Told is ProcessState.Completed || (replica.Told is ProcessState.Failed && replica.Exit is not null) || Succeeded(replica),
        _ => false,
    };

    private static bool Succeeded(AgentReplica replica) =>
        replica.Told is not null and not ProcessState.Stopping && replica.Exit is { Code: { } code } && replica.Process.SuccessCodes.Contains(code);

    /// <summary>Why a replica that has not come so far will not, unless it is started again; null when it may.</summary>
    private static string? WhyNever(AgentReplica replica, DependencyCondition until) => replica.Phase switch
    {
        ReplicaPhase.Off => replica.Fault is null ? "is stopped" : $"failed: {replica.Fault}",
        ReplicaPhase.Ending { Wanted: false } or ReplicaPhase.Changing { Wanted: false } => "is being stopped",
        ReplicaPhase.Waiting { Shown: ProcessState.Skipped } => "was skipped",
        _ => replica.Told switch
        {
            ProcessState.Failed => $"failed{Because(replica.Fault ?? replica.Seen?.Reason)}",
            ProcessState.Blocked => "is blocked until its files change",
            ProcessState.Stopped => "is stopped",
            ProcessState.Completed when until == DependencyCondition.Ready =>
                $"completed before it was ready (for a job, write {{ {replica.Agent.Name} = \"succeeded\" }})",
            ProcessState.Completed => "completed",
            _ => null,
        },
    };

    private static string Because(string? reason) => reason is null ? string.Empty : $": {reason}";

    private static string To(DependencyCondition until) => until switch
    {
        DependencyCondition.Started => "to be started",
        DependencyCondition.Ready => "to be ready",
        DependencyCondition.Succeeded => "to succeed",
        _ => "to end",
    };

    private PoolView Pool(string name) => state.Pools.GetValueOrDefault(name, PoolView.Unseen);
}
