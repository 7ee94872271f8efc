using System.Collections.Immutable;
using Loom.Processes;

namespace Loom.Node.Engines;

/// <summary>
/// The life of a replica as a pure function. What an event means is decided here and nowhere else; doing it is <see cref="EngineLoop"/>'s part.
/// An event that makes no sense in a state (late news of an earlier life, say) changes nothing.
/// </summary>
/// <param name="Policy">Tells an open breaker from an ordinary pause.</param>
public sealed record EngineMachine(EngineRestartPolicy Policy)
{
    private static readonly ImmutableArray<EngineEffect> s_nothing = [];

    /// <summary>Pause between Loom's own probes of an engine in doubt.</summary>
    public static TimeSpan ProbeAgain { get; } = TimeSpan.FromMilliseconds(500);

    /// <summary>The next state and what to do.</summary>
    public (EngineState State, ImmutableArray<EngineEffect> Effects) Step(EngineState state, EngineEvent news) => news switch
    {
        EngineEvent.StopWanted => Stop(state),
        EngineEvent.Gone gone when state is EngineState.Stopping => (new EngineState.Stopped(gone.Trouble), s_nothing),
        _ when state is EngineState.Stopping => Stay(state),
        EngineEvent.StartWanted => Start(state),
        EngineEvent.Progress p when state is EngineState.Provisioning at => (at with { Percent = p.Percent, Phase = p.Phase }, s_nothing),
        EngineEvent.Prepared p when state is EngineState.Provisioning =>
            (new EngineState.Starting(new EngineRun(p.Engine, 0, 0), null), [new EngineEffect.Launch(p.Engine)]),
        EngineEvent.PrepareFailed p when state is EngineState.Provisioning at => PrepareFailed(at, p),
        EngineEvent.RetryDue when state is EngineState.Failed { Attempt: > 0 } failed =>
            (new EngineState.Provisioning(failed.Attempt + 1, null, null), [new EngineEffect.Prepare()]),
        EngineEvent.Launching l when state is EngineState.Starting => (new EngineState.Starting(l.Run, null), s_nothing),
        EngineEvent.LaunchFailed l when state is EngineState.Starting => (new EngineState.Failed(l.Reason, null, 0), s_nothing),
        EngineEvent.Loading l when state is EngineState.Starting s && s.Run == l.Run => (s with { Percent = l.Percent }, s_nothing),
        EngineEvent.FactsLearned f when state is EngineState.Starting s && s.Run == f.Run && s.Run.Spawn > 0 => (new EngineState.Ready(s.Run, f.Facts), s_nothing),
        EngineEvent.FaultReported when state is EngineState.Ready { Probing: false } r =>
            (r with { Probing = true }, [new EngineEffect.Probe(r.Run, TimeSpan.Zero)]),
        EngineEvent.Probed p => Probed(state, p),
        EngineEvent.PortTaken t when state.CurrentRun is { Port: > 0 } run && run == t.Run =>
            (new EngineState.Starting(run with { Port = 0, Spawn = 0 }, null), [new EngineEffect.MoveToAnotherPort(run)]),
        EngineEvent.ProcessChanged c when state.CurrentRun is { Port: > 0 } run => Process(state, run, c),
        _ => Stay(state),
    };

    private static (EngineState, ImmutableArray<EngineEffect>) Stay(EngineState state) => (state, s_nothing);

    private static (EngineState, ImmutableArray<EngineEffect>) Start(EngineState state) => state switch
    {
        EngineState.Stopped or EngineState.Failed => (new EngineState.Provisioning(1, null, null), [new EngineEffect.Prepare()]),
        _ => Stay(state),
    };

    private static (EngineState, ImmutableArray<EngineEffect>) Stop(EngineState state) => state switch
    {
        EngineState.Stopping or EngineState.Stopped => Stay(state),
        _ => (new EngineState.Stopping(state.CurrentRun), [new EngineEffect.Remove()]),
    };

    private static (EngineState, ImmutableArray<EngineEffect>) PrepareFailed(EngineState.Provisioning at, EngineEvent.PrepareFailed news)
    {
        if (!news.Transient)
        {
            return (new EngineState.Failed(news.Reason, null, at.Attempt, news.Exit), s_nothing);
        }

        // 30 s doubling to 10 min: an unattended machine whose network comes back gets its engine without a hand.
        var pause = TimeSpan.FromSeconds(Math.Min(30 * Math.Pow(2, Math.Min(at.Attempt - 1, 10)), 600));
        return (new EngineState.Failed(news.Reason, null, at.Attempt, news.Exit), [new EngineEffect.Retry(pause)]);
    }

    private static (EngineState, ImmutableArray<EngineEffect>) Probed(EngineState state, EngineEvent.Probed news) => (state, news.Trouble) switch
    {
        _ when state.CurrentRun != news.Run => Stay(state),
        (EngineState.Ready { Probing: true } r, null) => (r with { Probing = false }, s_nothing),
        (EngineState.Ready { Probing: true } r, { } trouble) => (new EngineState.Unready(r.Run, r.Facts, trouble, Probing: true), [new EngineEffect.Probe(r.Run, ProbeAgain)]),
        (EngineState.Unready { Probing: true } u, null) => (new EngineState.Ready(u.Run, u.Facts ?? EngineFacts.None), s_nothing),
        (EngineState.Unready { Probing: true } u, { } trouble) => (u with { Reason = trouble }, [new EngineEffect.Probe(u.Run, ProbeAgain)]),
        _ => Stay(state),
    };

    private (EngineState, ImmutableArray<EngineEffect>) Process(EngineState state, EngineRun run, EngineEvent.ProcessChanged news)
    {
        var process = news.Process;
        var present = run with { Spawn = process.Spawns };
        var reason = Reason(process, news.LastWords);
        switch (process.State)
        {
            case ProcessState.Pending or ProcessState.Starting or ProcessState.Running:
                var known = state is EngineState.Starting s && s.Run.Spawn == process.Spawns ? s.Percent : null;
                return (new EngineState.Starting(present, known), process.State == ProcessState.Running && known is null
                    ? [new EngineEffect.WatchLoading(present)] : s_nothing);
            case ProcessState.Ready:
                return Answering(state, present);
            case ProcessState.Unhealthy:
                return (new EngineState.Unready(present, FactsOf(state), reason, Probing: false), s_nothing);
            case ProcessState.Backoff:
                var pause = (process.NextStart ?? process.Since) - process.Since;
                EngineState waiting = Policy.IsOpen(pause)
                    ? new EngineState.Failed($"{reason}; next trial at {process.NextStart:HH:mm:ss} UTC", present, 0)
                    : new EngineState.Unready(present, null, reason, Probing: false);
                return (waiting, [new EngineEffect.CheckPort(present)]);
            case ProcessState.Completed:
                return (new EngineState.Stopped($"the engine ended by itself with code {process.LastExit?.Code ?? 0}, which is never restarted", present),
                    s_nothing);
            case ProcessState.Failed or ProcessState.Blocked or ProcessState.Skipped:
                return (new EngineState.Failed(reason, present, 0), s_nothing);
            case ProcessState.Stopping:
                return (new EngineState.Unready(present, null, reason, Probing: false), s_nothing);
            case ProcessState.Stopped:
                return (new EngineState.Stopped(process.Reason, present), s_nothing);
            default:
                return Stay(state);
        }
    }

    private static (EngineState, ImmutableArray<EngineEffect>) Answering(EngineState state, EngineRun present) => state switch
    {
        EngineState.Ready r when r.Run.Spawn == present.Spawn => Stay(state),
        EngineState.Unready { Facts: { } facts } u when u.Run.Spawn == present.Spawn => (new EngineState.Ready(present, facts, u.Probing), s_nothing),
        _ => (new EngineState.Starting(present, 100), [new EngineEffect.AskFacts(present)]),
    };

    private static EngineFacts? FactsOf(EngineState state) => state switch
    {
        EngineState.Ready r => r.Facts,
        EngineState.Unready u => u.Facts,
        _ => null,
    };

    private static string Reason(ProcessSnapshot process, string? lastWords)
    {
        var reason = process.Reason ?? process.State.ToString().ToLowerInvariant();
        return lastWords is null ? reason : $"{reason}; last line of its log: {lastWords}";
    }
}
