using System.Collections.Immutable;

namespace Loom.Processes.Supervision;

/// <summary>How an incarnation ends: asked, signalled, killed, counted until nothing is left; and what follows.</summary>
internal sealed partial class ChildMachine
{
    private void Exited(ChildEvent.Exited e)
    {
        _state = _state with { LastExit = new ExitInfo(e.Code, e.Signal, _now) };
        switch (_state.Phase)
        {
            case Phase.Alive alive:
                var cause = e.Code is not { } code ? EndCause.Failure
                    : _state.Plan.FatalCodes.Contains(code) ? EndCause.Fatal
                    : _state.Plan.SuccessCodes.Contains(code) ? EndCause.Success : EndCause.Failure;
                var how = e.OutOfMemory ? $"memory limit: more than {Mebibytes(_state.Plan.Limits?.MemoryBytes ?? 0)} wanted, killed by the kernel"
                    : e.Code is not null ? $"exit {e.Code}" : e.Signal is not null ? $"killed by signal {e.Signal}" : "ended, nobody knows how: it was reaped by somebody else";
                var reason = $"{how} after {Seconds(_now - alive.SpawnedAt)}";
                Do(new ChildAction.CancelProbe());
                Enter(new Phase.Ending(alive.Identity, alive.SpawnedAt, new Goal.Policy(cause, reason)) { ReadyAt = alive.ReadyAt, LeaderExited = true }, reason);
                Do(new ChildAction.Count(_state.Incarnation));
                break;
            case Phase.Ending { Asking: true, Killed: false } ending:
                // Whoever it left behind has not been asked by name: they get the signal, now that the command has done its work.
                Do(new ChildAction.CancelProbe());
                Enter(ending with { LeaderExited = true, Asking = false });
                Do(new ChildAction.Signal(_state.Incarnation, _state.Plan.StopSignal));
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
        var asking = !_state.Plan.StopCommand.IsDefaultOrEmpty;
        Enter(new Phase.Ending(alive.Identity, alive.SpawnedAt, goal) { ReadyAt = alive.ReadyAt, KillAt = _now + _state.Grace, Asking = asking }, reason);
        Do(asking ? new ChildAction.Ask(_state.Incarnation) : new ChildAction.Signal(_state.Incarnation, _state.Plan.StopSignal));
    }

    private void Counted(Phase.Ending ending, ImmutableArray<Survivor> members)
    {
        if (members.IsEmpty && ending.LeaderExited)
        {
            Do(new ChildAction.Reap(_state.Incarnation));
            Gone(ending.Goal, ending);
        }
        else if (ending.Killed && _now >= ending.GiveUpAt)
        {
            _state = _state with { Survivors = members.IsEmpty ? [new Survivor(ending.Identity, _state.Plan.Command[0])] : members };
            Do(new ChildAction.Reap(_state.Incarnation));
            Gone(new Goal.Down(), ending);
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
        if (ending.Asking)
        {
            Do(new ChildAction.CancelProbe());
        }

        Enter(ending with { Killed = true, Asking = false, KillAt = _now, CountAt = null, GiveUpAt = _now + KillPatience });
        Do(new ChildAction.Signal(_state.Incarnation, Native.Linux.SigKill));
    }

    /// <summary>Nothing of the incarnation is left (or could be killed): what now.</summary>
    private void Gone(Goal goal, Phase.Ending? ended)
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
                Follow(policy, ended);
                break;
        }
    }

    private void Follow(Goal.Policy end, Phase.Ending? ended)
    {
        // What was never spawned has not lived.
        var (alive, ready) = (_now - (ended?.SpawnedAt ?? _now), _now - (ended?.ReadyAt ?? _now));
        var decision = _state.Plan.Restart.Decide(end.Cause, alive, ready, _state.History, _now, _chance);
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
}
