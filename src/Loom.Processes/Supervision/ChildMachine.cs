using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Processes.Supervision;

/// <summary>
/// The supervisor's whole judgement: what follows when something happens to a process. Pure: no clock, no chance, no effect of its own.
/// </summary>
internal sealed partial class ChildMachine
{
    /// <summary>Without a readiness probe, a child that has lived so long counts as ready.</summary>
    internal static readonly TimeSpan AliveIsReady = TimeSpan.FromSeconds(1);

    /// <summary>Pause between two counts of what is left.</summary>
    internal static readonly TimeSpan CountEvery = TimeSpan.FromMilliseconds(20);

    /// <summary>How long KILL is repeated before survivors are named.</summary>
    internal static readonly TimeSpan KillPatience = TimeSpan.FromSeconds(5);

    private readonly ImmutableArray<ChildAction>.Builder _actions = ImmutableArray.CreateBuilder<ChildAction>();
    private readonly DateTimeOffset _now;
    private readonly double _chance;
    private ChildState _state;

    private ChildMachine(ChildState state, DateTimeOffset now, double chance)
    {
        _state = state;
        _now = now;
        _chance = chance;
    }

    /// <summary>A process that has not been started yet.</summary>
    internal static ChildState New(ProcessPlan plan, DateTimeOffset now) => new() { Plan = plan, PlanSha256 = PlanHash.Of(plan), Phase = new Phase.Idle(ProcessState.Pending), Since = now };

    /// <summary>Answers one event.</summary>
    /// <param name="state">Where the process stands.</param>
    /// <param name="happened">What happened.</param>
    /// <param name="now">Present time.</param>
    /// <param name="chance">A number from 0 up to 1, for the jitter of a delay.</param>
    internal static (ChildState State, ImmutableArray<ChildAction> Actions) Apply(ChildState state, ChildEvent happened, DateTimeOffset now, double chance)
    {
        var machine = new ChildMachine(state, now, chance);
        machine.Handle(happened);
        if (machine._state.Shown != state.Shown)
        {
            machine._state = machine._state with { Since = now };
        }

        return (machine._state, machine._actions.ToImmutable());
    }

    private void Handle(ChildEvent happened)
    {
        switch (happened)
        {
            case ChildEvent.Start:
                Start();
                break;
            case ChildEvent.Stop:
                Stop();
                break;
            case ChildEvent.Restart e:
                Restart(trial: false, e.Reason ?? "restarting by request");
                break;
            case ChildEvent.Reload e:
                Restart(trial: true, e.Reason);
                break;
            case ChildEvent.Hold e when _state.Phase is Phase.Idle:
                Enter(new Phase.Idle(e.Shown), e.Reason);
                break;
            case ChildEvent.Note e:
                _state = _state with { Note = e.Text };
                break;
            case ChildEvent.Hurry:
                Hurry();
                break;
            case ChildEvent.Tick:
                Tick();
                break;
            case ChildEvent.PortChecked e when e.Incarnation == _state.Incarnation:
                PortChecked(e.Holder);
                break;
            case ChildEvent.Spawned e when e.Incarnation == _state.Incarnation:
                Spawned(e);
                break;
            case ChildEvent.SpawnRefused e when e.Incarnation == _state.Incarnation && _state.Phase is Phase.Launching launching:
                Gone(launching.After is Goal.Down ? launching.After : new Goal.Policy(e.Permanent ? EndCause.Fatal : EndCause.Failure, e.Reason), null);
                break;
            case ChildEvent.Exited e when e.Incarnation == _state.Incarnation:
                Exited(e);
                break;
            case ChildEvent.Asked e when e.Incarnation == _state.Incarnation && _state.Phase is Phase.Ending { Asking: true, Killed: false } ending:
                Enter(ending with { Asking = false });
                Do(new ChildAction.Signal(_state.Incarnation, _state.Plan.StopSignal));
                break;
            case ChildEvent.OverMemory e when e.Incarnation == _state.Incarnation && _state.Phase is Phase.Alive alive:
                var limit = $"memory limit: {Mebibytes(e.ResidentBytes)} used, {Mebibytes(_state.Plan.Limits?.MemoryBytes ?? 0)} allowed";
                End(alive, new Goal.Policy(EndCause.Failure, limit), limit);
                break;
            case ChildEvent.Probed e when e.Incarnation == _state.Incarnation && _state.Phase is Phase.Alive alive:
                Probed(alive, e);
                break;
            case ChildEvent.Counted e when e.Incarnation == _state.Incarnation && _state.Phase is Phase.Ending ending:
                Counted(ending, e.Members);
                break;
        }
    }

    // ---- requests

    private void Start()
    {
        switch (_state.Phase)
        {
            case Phase.Idle or Phase.Waiting:
                ClearCounters();
                Enter(_state.Phase, reason: null); // why it was held or had ended is over
                Launch();
                break;
            case Phase.Launching { After: Goal.Down } launching:
                _state = _state with { OnTrial = false };
                Enter(launching with { After = null });
                break;
            case Phase.Ending { Goal: not Goal.Up } ending:
                ClearCounters();
                Enter(ending with { Goal = new Goal.Up() });
                break;
        }
    }

    private void Stop()
    {
        switch (_state.Phase)
        {
            case Phase.Idle { Shown: ProcessState.Pending or ProcessState.Skipped or ProcessState.Blocked }:
            case Phase.Waiting:
                Enter(new Phase.Idle(ProcessState.Stopped), "stopped by request");
                break;
            case Phase.Launching launching:
                Enter(launching with { After = new Goal.Down() });
                break;
            case Phase.Alive alive:
                End(alive, new Goal.Down(), "stopping by request");
                break;
            case Phase.Ending ending:
                Enter(ending with { Goal = new Goal.Down() });
                break;
        }
    }

    private void Restart(bool trial, string reason)
    {
        switch (_state.Phase)
        {
            case Phase.Idle or Phase.Waiting:
                ClearCounters();
                Enter(_state.Phase, reason);
                Launch(trial);
                break;
            case Phase.Launching launching:
                _state = _state with { OnTrial = trial };
                Enter(launching with { After = null }, reason); // it is being started just now: that is the new one
                break;
            case Phase.Alive alive:
                ClearCounters();
                End(alive, new Goal.Up(trial), reason);
                break;
            case Phase.Ending ending:
                ClearCounters();
                Enter(ending with { Goal = new Goal.Up(trial) }, reason);
                break;
        }
    }

    private void Hurry()
    {
        if (_state.Phase is Phase.Ending { Killed: false } ending)
        {
            Kill(ending);
        }
    }

    // ---- start

    private void Launch(bool trial = false)
    {
        _state = _state with { Incarnation = _state.Incarnation + 1, Survivors = [], OnTrial = trial };
        Enter(new Phase.Launching());
        if (Listens(_state.Plan.Ready) || Listens(_state.Plan.Live))
        {
            Do(new ChildAction.CheckPort(_state.Incarnation));
        }
        else
        {
            Do(new ChildAction.Spawn(_state.Incarnation));
        }
    }

    private void PortChecked(string? holder)
    {
        if (_state.Phase is not Phase.Launching launching)
        {
            return;
        }

        if (launching.After is Goal.Down down)
        {
            Gone(down, null);
        }
        else if (holder is not null)
        {
            Gone(new Goal.Policy(EndCause.Failure, holder), null);
        }
        else
        {
            Do(new ChildAction.Spawn(_state.Incarnation));
        }
    }

    private void Spawned(ChildEvent.Spawned e)
    {
        if (_state.Phase is not Phase.Launching launching)
        {
            return;
        }

        _state = _state with { Spawns = _state.Spawns + 1, Cgroup = e.Cgroup };
        var alive = new Phase.Alive(e.Identity, _now);
        Enter(alive);
        if (launching.After is Goal.Down)
        {
            End(alive, launching.After, "stopping by request");
        }
        else if (_state.Plan.Ready is { } ready)
        {
            Probe(alive, ready);
        }
    }

    // ---- life

    private void Tick()
    {
        switch (_state.Phase)
        {
            case Phase.Waiting waiting when _now >= waiting.Until:
                _state = _state with { Restarts = _state.Restarts + 1 };
                Launch();
                break;
            case Phase.Alive { ReadyAt: null } alive when _state.Plan.Ready is null && _now >= alive.SpawnedAt + AliveIsReady:
                BecomeReady(alive);
                break;
            case Phase.Alive { ReadyAt: null } alive when _state.Plan.Ready is { } ready && _now >= alive.SpawnedAt + ready.Within:
                var seen = alive.LastFailure is null ? string.Empty : $"; last probe: {alive.LastFailure}";
                End(alive, new Goal.Policy(EndCause.Unhealthy, $"not ready within {Seconds(ready.Within)}{seen}"), "not ready in time");
                break;
            case Phase.Alive { ProbeAt: { } due } alive when _now >= due:
                Probe(alive, (alive.ReadyAt is null ? _state.Plan.Ready : _state.Plan.Live)!);
                break;
            case Phase.Ending ending:
                TickEnding(ending);
                break;
        }
    }

    private void Probe(Phase.Alive alive, ProbePlan plan)
    {
        Enter(alive with { ProbeAt = null, Probing = true });
        Do(new ChildAction.Probe(_state.Incarnation, plan));
    }

    private void Probed(Phase.Alive alive, ChildEvent.Probed result)
    {
        if (!alive.Probing)
        {
            return;
        }

        alive = alive with { Probing = false };
        if (alive.ReadyAt is null)
        {
            if (result.Passed)
            {
                BecomeReady(alive);
            }
            else
            {
                Enter(alive with { LastFailure = result.Detail, ProbeAt = _now + Pause(_state.Plan.Ready!, _now - alive.SpawnedAt) });
            }

            return;
        }

        var live = _state.Plan.Live!;
        if (result.Passed)
        {
            Enter(alive with { Failures = 0, LastFailure = null, ProbeAt = _now + live.Every }, alive.Failures > 0 ? "answers again" : _state.Reason);
            return;
        }

        var failures = alive.Failures + 1;
        alive = alive with { Failures = failures, LastFailure = result.Detail };
        if (failures >= live.Failures)
        {
            End(alive, new Goal.Policy(EndCause.Unhealthy, $"{failures} liveness probes failed in a row; last: {result.Detail}"), "liveness lost");
        }
        else
        {
            Enter(alive with { ProbeAt = _now + live.Every }, $"liveness probe failed {failures} of {live.Failures}: {result.Detail}");
        }
    }

    private static TimeSpan Pause(ProbePlan ready, TimeSpan age) =>
        ready.AtFirst is { } least && age / 20 is var grown && grown < ready.Every ? (grown > least ? grown : least) : ready.Every;

    private void BecomeReady(Phase.Alive alive)
    {
        _state = _state with { OnTrial = false };
        Enter(alive with { ReadyAt = _now, Probing = false, LastFailure = null, ProbeAt = _state.Plan.Live is { } live ? _now + live.Every : null }, reason: null);
    }

    private void ClearCounters() => _state = _state with { Restarts = 0, History = RestartHistory.Empty };

    private void Enter(Phase phase) => _state = _state with { Phase = phase };

    private void Enter(Phase phase, string? reason) => _state = _state with { Phase = phase, Reason = reason };

    private void Do(ChildAction action) => _actions.Add(action);

    private static bool Listens(ProbePlan? plan) => plan?.Check is ProbeCheck.Http or ProbeCheck.Tcp;

    private static string Mebibytes(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.0} MiB");

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.0} s");
}
