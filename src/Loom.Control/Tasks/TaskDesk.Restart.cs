using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Core.Queues;
using Loom.Core.Web;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Tasks;

/// <summary>What a restart brings back, and what ticks.</summary>
internal sealed partial class TaskDesk
{
    private void Restore(TaskReplay replay)
    {
        foreach (var life in replay.Lives)
        {
            if (life.End is { } end)
            {
                RestoreEnded(life, end);
                continue;
            }

            TaskPlan plan;
            try
            {
                plan = TaskJudge.Judge(life.Accepted!.Request!, static () => Guid.NewGuid().ToString());
            }
            catch (ProblemException e)
            {
                LogUnusable(_log, life.Id, e.Message);
                continue;
            }

            var task = Entry(life.Owner, life.Id, life.Accepted.Digest ?? "", life.Accepted.Request!, plan, life.Accepted.CorrelationId, life.Accepted.AtMs ?? NowMs);
            if (!_table.TryAdd(task, out _))
            {
                continue;
            }

            task.NoteAcceptance();
            task.Accept(new TaskAccepted(task.Id, 0, 0, 0, task.View.Streams!, new TaskPreparation([])) { SessionId = plan.SessionId });
            if (life.Started)
            {
                task.NoteStart();
                var lost = new TaskError(
                    "WORKER_RESET", "the server was restarted while the task ran", null, Retriable: true, RetryAfterMs: 1000);
                FailRestored(task, lost);
            }
            else
            {
                _pending.Add(task);
            }
        }

        if (replay.Lives.Count > 0)
        {
            LogRestored(_log, _pending.Count, replay.Lives.Count(l => l.Started && l.End is null), replay.Lives.Count(l => l.End is not null));
        }
    }

    private void RestoreEnded(TaskReplay.Life life, TaskView end)
    {
        var ago = TimeSpan.FromMilliseconds(Math.Max(0, NowMs - (end.EndedMs ?? NowMs)));
        if (ago >= _options.Retention)
        {
            return;
        }

        var task = new TaskEntry(life.Owner, life.Id, _table.NextSequence(), life.Digest, null, null, end);
        if (_table.TryAdd(task, out _))
        {
            task.Accept(new TaskAccepted(life.Id, 0, 0, 0, end.Streams!, new TaskPreparation([])) { SessionId = end.SessionId });
            task.Finish(end);
            _table.Ended(task, ago);
        }
    }

    private void FailRestored(TaskEntry task, TaskError error)
    {
        var view = task.Ending(TaskState.Failed, "error", null, 0, NowMs) with { Error = error };
        // The first appends of the journal's new life; nothing waits for them.
        _ = FinishUnrunAsync(task, view);
    }

    private void OnReplicasChanged(SnapshotChange change) => EnterPending();

    // In the order of acceptance; one that cannot be queued yet, because no node has spoken of its model or the queue is full, waits for the next look, and
    // the others for that model do not overtake it.
    private void EnterPending()
    {
        lock (_restoring)
        {
            if (_pending.Count == 0 || _closed)
            {
                return;
            }

            var left = new List<TaskEntry>();
            var held = new HashSet<string>(StringComparer.Ordinal);
            foreach (var task in _pending)
            {
                if (!TryEnter(task, held))
                {
                    left.Add(task);
                }
            }

            _pending = left;
        }
    }

    private bool TryEnter(TaskEntry task, HashSet<string> held)
    {
        var plan = task.Plan!;
        var patience = _gateway.Time.GetElapsedTime(_startedAt) < _gateway.Options.QueueTimeout;
        TimeSpan? deadline = null;
        if (plan.DeadlineMs is { } ms)
        {
            // Its own deadline counts from its arrival, also across a restart; the default limit of waiting begins anew.
            deadline = TimeSpan.FromMilliseconds(ms - (NowMs - task.View.CreatedMs));
            if (deadline <= TimeSpan.Zero)
            {
                FailRestored(task, new TaskError("DEADLINE_UNMET", $"the deadline of {ms} ms passed while the server was restarted", null, Retriable: false, RetryAfterMs: null));
                return true;
            }
        }

        if (held.Contains(plan.ModelRef))
        {
            return false;
        }

        if (!_gateway.Replicas.Current.TryResolve(plan.ModelRef, out var route))
        {
            return !patience && Abandon(task, CallUnknown(plan.ModelRef));
        }

        if (patience && _gateway.Desk.Waiting(QueueClass.Interactive) + _gateway.Desk.Waiting(QueueClass.Batch) >= _gateway.Admission.Capacity)
        {
            // Whatever the policy: a task that was acknowledged does not push another one out.
            held.Add(plan.ModelRef);
            return false;
        }

        TaskRun run;
        try
        {
            run = Begin(task, plan, route, task.View.CorrelationId ?? task.Id);
        }
        catch (ProblemException e)
        {
            return Abandon(task, e.Problem);
        }

        var admittance = run.Enter(route, deadline);
        if (admittance == Admittance.Refused)
        {
            run.GiveUp();
            run.Dispose();
            var refusal = run.Refusal!;
            if (patience && refusal.Row.Retriable)
            {
                held.Add(plan.ModelRef);
                return false;
            }

            return Abandon(task, refusal);
        }

        task.Run = run;
        var (position, predicted) = run.Outlook();
        task.Queued(position, predicted);
        Launch(task, run, admittance, startNoted: false);
        return true;
    }

    private bool Abandon(TaskEntry task, Problem problem)
    {
        var row = problem.Row;
        FailRestored(task, new TaskError(row.Name, problem.Message, null, row.Retriable, row.Retriable ? problem.Backoff?.Milliseconds ?? 1000 : null));
        return true;
    }

    private Problem CallUnknown(string model) => Gateway.CallChecks.UnknownModel(_gateway.Replicas.Current, model);

    private bool TryTakePending(TaskEntry task)
    {
        lock (_restoring)
        {
            return _pending.Remove(task);
        }
    }

    private List<TaskEntry> TakePending()
    {
        lock (_restoring)
        {
            var all = _pending;
            _pending = [];
            return all;
        }
    }

    private async Task TickAsync(CancellationToken cancel)
    {
        const int TicksASecond = 4;
        using var timer = new PeriodicTimer(s_tick, _gateway.Time);
        for (var tick = 1; await timer.WaitForNextTickAsync(cancel).ConfigureAwait(false); tick++)
        {
            if (Running > 0)
            {
                foreach (var task in _table.All())
                {
                    Tell(task, metrics: tick % TicksASecond == 0);
                }
            }

            if (tick % TicksASecond == 0)
            {
                _table.Sweep();
                EnterPending();
                await Services.Journal.CompactAsync(() => _table.All().SelectMany(TaskJournal.RecordsOf)).ConfigureAwait(false);
            }
        }
    }

    private void Tell(TaskEntry task, bool metrics)
    {
        if (task.Run is not { } run || !task.HasReaders)
        {
            return;
        }

        var waits = run.Waits;
        if (waits && task.HasVerboseReaders)
        {
            var (position, predicted) = run.Outlook();
            if (position != task.ToldPosition)
            {
                task.Queued(position, predicted);
            }
        }

        if (metrics)
        {
            task.Measured(run.Measure());
        }
    }

    [LoggerMessage(EventId = 338, Level = LogLevel.Information, Message = "tasks of the last run: {Waiting} queued again, {Lost} ended with WORKER_RESET, {Ended} had ended")]
    private static partial void LogRestored(ILogger logger, int waiting, int lost, int ended);

    [LoggerMessage(EventId = 339, Level = LogLevel.Warning, Message = "journalled task {TaskId} cannot be read by this version and is left out: {Reason}")]
    private static partial void LogUnusable(ILogger logger, string taskId, string reason);
}
