using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Processes.Supervision;

/// <summary>
/// The supervisor's whole judgement: what follows when something happens to a process. Pure: no clock, no chance, no effect of its own.
/// </summary>
internal sealed class ChildMachine
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
                Spawned(e.Identity);
                break;
            case ChildEvent.SpawnRefused e when e.Incarnation == _state.Incarnation && _state.Phase is Phase.Launching launching:
                Gone(launching.After is Goal.Down ? launching.After : new Goal.Policy(e.Permanent ? EndCause.Fatal : EndCause.Failure, e.Reason), TimeSpan.Zero);
                break;
            case ChildEvent.Exited e when e.Incarnation == _state.Incarnation:
                Exited(e);
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
            case Phase.Ending { Goal: Goal.Down } ending:
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
            Gone(down, TimeSpan.Zero);
        }
        else if (holder is not null)
        {
            Gone(new Goal.Policy(EndCause.Failure, holder), TimeSpan.Zero);
        }
        else
        {
            Do(new ChildAction.Spawn(_state.Incarnation));
        }
    }

    private void Spawned(ProcessIdentity identity)
    {
        if (_state.Phase is not Phase.Launching launching)
        {
            return;
        }

        _state = _state with { Spawns = _state.Spawns + 1 };
        var alive = new Phase.Alive(identity, _now);
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
                Enter(alive with { LastFailure = result.Detail, ProbeAt = _now + _state.Plan.Ready!.Every });
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

    private void BecomeReady(Phase.Alive alive)
    {
        _state = _state with { OnTrial = false };
        Enter(alive with { ReadyAt = _now, Probing = false, LastFailure = null, ProbeAt = _state.Plan.Live is { } live ? _now + live.Every : null }, reason: null);
    }

    // ---- end

    private void Exited(ChildEvent.Exited e)
    {
        _state = _state with { LastExit = new ExitInfo(e.Code, e.Signal, _now) };
        switch (_state.Phase)
        {
            case Phase.Alive alive:
                var cause = e.Code is not { } code ? EndCause.Failure
                    : _state.Plan.FatalCodes.Contains(code) ? EndCause.Fatal
                    : _state.Plan.SuccessCodes.Contains(code) ? EndCause.Success : EndCause.Failure;
                var how = e.Code is not null ? $"exit {e.Code}" : $"killed by signal {e.Signal}";
                var reason = $"{how} after {Seconds(_now - alive.SpawnedAt)}";
                Do(new ChildAction.CancelProbe());
                Enter(new Phase.Ending(alive.Identity, alive.SpawnedAt, new Goal.Policy(cause, reason)) { LeaderExited = true }, reason);
                Do(new ChildAction.Count(_state.Incarnation));
                break;
            case Phase.Ending ending:
                Enter(ending with { LeaderExited = true, CountAt = null });
                Do(new ChildAction.Count(_state.Incarnation));
                break;
        }
    }

    private void End(Phase.Alive alive, Goal goal, string reason)
    {
        Do(new ChildAction.CancelProbe());
        Enter(new Phase.Ending(alive.Identity, alive.SpawnedAt, goal) { KillAt = _now + _state.Grace }, reason);
        Do(new ChildAction.Signal(_state.Incarnation, _state.Plan.StopSignal));
    }

    private void Counted(Phase.Ending ending, ImmutableArray<string> members)
    {
        if (members.IsEmpty && ending.LeaderExited)
        {
            Do(new ChildAction.Reap(_state.Incarnation));
            Gone(ending.Goal, _now - ending.SpawnedAt);
        }
        else if (ending.Killed && _now >= ending.GiveUpAt)
        {
            _state = _state with { Survivors = members.IsEmpty ? [$"{ending.Identity.Pid} ({_state.Plan.Command[0]})"] : members };
            Do(new ChildAction.Reap(_state.Incarnation));
            Gone(new Goal.Down(), _now - ending.SpawnedAt);
        }
        else if (ending.KillAt is null)
        {
            // The leader ended by itself and left others behind: they get the same ladder.
            Enter(ending with { KillAt = _now + _state.Grace, CountAt = _now + CountEvery });
            Do(new ChildAction.Signal(_state.Incarnation, _state.Plan.StopSignal));
        }
        else if (ending.LeaderExited || ending.Killed)
        {
            Enter(ending with { CountAt = _now + CountEvery });
        }
    }

    private void TickEnding(Phase.Ending ending)
    {
        if (!ending.Killed && _now >= ending.KillAt)
        {
            Kill(ending);
        }
        else if (_now >= ending.CountAt || _now >= ending.GiveUpAt)
        {
            Enter(ending with { CountAt = null });
            Do(ending.Killed ? new ChildAction.Signal(_state.Incarnation, Native.Linux.SigKill) : new ChildAction.Count(_state.Incarnation));
        }
    }

    private void Kill(Phase.Ending ending)
    {
        Enter(ending with { Killed = true, KillAt = _now, CountAt = null, GiveUpAt = _now + KillPatience });
        Do(new ChildAction.Signal(_state.Incarnation, Native.Linux.SigKill));
    }

    /// <summary>Nothing of the incarnation is left (or could be killed): what now.</summary>
    private void Gone(Goal goal, TimeSpan aliveFor)
    {
        _state = _state with { Ended = _state.Incarnation };
        switch (goal)
        {
            case Goal.Down when !_state.Survivors.IsEmpty:
                Enter(new Phase.Idle(ProcessState.Failed), $"could not be ended; still there: {string.Join(", ", _state.Survivors)}");
                break;
            case Goal.Down:
                Enter(new Phase.Idle(ProcessState.Stopped), "stopped by request");
                break;
            case Goal.Up up:
                Launch(up.Trial);
                break;
            case Goal.Policy policy:
                Follow(policy, aliveFor);
                break;
        }
    }

    private void Follow(Goal.Policy end, TimeSpan aliveFor)
    {
        var decision = _state.Plan.Restart.Decide(end.Cause, aliveFor, _state.History, _now, _chance);
        if (_state.OnTrial && decision is not RestartDecision.Complete)
        {
            Enter(new Phase.Idle(ProcessState.Blocked), $"{end.Reason}, before it was ready; waits for the next change");
            return;
        }

        switch (decision)
        {
            case RestartDecision.Again again:
                _state = _state with { History = again.History };
                Enter(new Phase.Waiting(_now + again.Delay), $"{end.Reason}; restart {_state.Restarts + 1} in {Seconds(again.Delay)}");
                break;
            case RestartDecision.Complete:
                Enter(new Phase.Idle(ProcessState.Completed), end.Reason);
                break;
            case RestartDecision.GiveUp give:
                Enter(new Phase.Idle(ProcessState.Failed), $"{end.Reason}; {give.Reason}");
                break;
        }
    }

    private void ClearCounters() => _state = _state with { Restarts = 0, History = RestartHistory.Empty };

    private void Enter(Phase phase) => _state = _state with { Phase = phase };

    private void Enter(Phase phase, string? reason) => _state = _state with { Phase = phase, Reason = reason };

    private void Do(ChildAction action) => _actions.Add(action);

    private static bool Listens(ProbePlan? plan) => plan?.Check is ProbeCheck.Http or ProbeCheck.Tcp;

    private static string Seconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalSeconds:0.0} s");
}
