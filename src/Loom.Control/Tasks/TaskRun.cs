using System.Collections.Immutable;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Explain;
using Loom.Control.Gateway;
using Loom.Control.Sessions;
using Loom.Core.Queues;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Tasks;

/// <summary>
/// One task from admission to its terminal event: wait for a slot, send, read, settle, record. What ends it first wins; the terminal event is told after its
/// record is on disk, so that what a client has seen end stays ended.
/// </summary>
internal sealed partial class TaskRun : IDisposable
{
    private readonly TaskServices _services;
    private readonly GatewayServices _gateway;
    private readonly TaskEntry _task;
    private readonly TaskPlan _plan;
    private readonly SessionTurn _turn;
    private readonly string _requestId;
    private readonly CallWatch _watch;
    private readonly Ticket _ticket;
    private RequestRecord? _record;
    private TaskAttempt? _attempt;
    private long _arrived;
    private long _started;
    private long _engineSince;
    private TimeSpan? _deadline;
    private bool _timeBudgetBinds;
    private bool _waited;
    private bool _startNoted;
    private int _attempts;
    private int _parking;
    private volatile bool _parked;

    public TaskRun(TaskServices services, TaskEntry task, TaskPlan plan, SessionTurn turn, string requestId)
    {
        _services = services;
        _gateway = services.Gateway;
        _task = task;
        _plan = plan;
        _turn = turn;
        _requestId = requestId;
        _watch = new CallWatch(_gateway.Time);
        _ticket = new Ticket(_watch);
    }

    /// <summary>Why admission refused it; set when it did.</summary>
    public Problem? Refusal => _ticket.Refusal;

    /// <summary>Whether it went on into the next life of this process instead of ending.</summary>
    public bool IsParked => _parked;

    private string Engine => (_ticket.Replica ?? _ticket.Route.Offering[0]).Status.EngineKind;

    private double QueueMs => _waited ? _gateway.Time.GetElapsedTime(_arrived, _ticket.GrantedAt).TotalMilliseconds : 0;

    private long NowMs => _gateway.Time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Asks admission for a slot. What is granted or waits must be followed by <see cref="RunAsync"/> or <see cref="GiveUp"/>.</summary>
    /// <param name="route">Where it may go.</param>
    /// <param name="deadline">Time left of its own deadline; null = it has none.</param>
    public Admittance Enter(ModelRoute route, TimeSpan? deadline)
    {
        _arrived = _gateway.Time.GetTimestamp();
        _deadline = deadline;
        _watch.Begin();
        if (deadline is { } limit)
        {
            _watch.LimitTo(limit);
        }

        _ticket.Reset(route, _plan.Class, deadline?.TotalMilliseconds, _arrived);
        _record = _gateway.Requests.Begin(_requestId, _task.Owner, "/v2/tasks", _gateway.Time.GetUtcNow());
        _record.Asked(_plan.ModelRef, route.Model, _plan.Class, _plan.Workload == Workload.Completion);
        _ticket.Trace = _record;
        _ticket.Work = TaskBody.RouteOf(_plan);
        _ticket.Wish = _plan.Placement;
        _ticket.LastReplica = _plan.ReuseKv ? _turn.LastReplica : null;
        _ticket.MostTokens = _plan.MaxTokens > 0 ? _plan.MaxTokens : null;
        _gateway.Metrics.Enqueued(Engine, _plan.Class);
        var admittance = _gateway.Desk.Enter(_ticket);
        if (admittance == Admittance.Refused)
        {
            _gateway.Metrics.Rejected(Engine, _plan.Class, _ticket.Refusal!.Code, _gateway.Admission.PolicyName);
            _record.End(_ticket.Refusal.HttpStatus, _ticket.Refusal.Code, 0, null);
        }

        return admittance;
    }

    /// <summary>Place in the queue and predicted start; position 0 and nothing to wait for once it has a slot.</summary>
    public (int Position, long PredictedMs) Outlook()
    {
        var (position, estimate) = _gateway.Desk.Outlook(_ticket);
        return position < 0 ? (0, 0) : (position, (long)estimate.Milliseconds);
    }

    /// <summary>Whether it waits for a slot.</summary>
    public bool Waits => _gateway.Desk.Outlook(_ticket).Position >= 0;

    /// <summary>Numbers for those who follow it.</summary>
    public MetricsEvent Measure()
    {
        var session = _turn.View;
        var (position, estimate) = _gateway.Desk.Outlook(_ticket);
        var pool = _ticket.Replica?.Status.Id.PoolId ?? _ticket.Route.Offering[0].Status.Id.PoolId;
        var prep = Preparation.Of(_ticket.Route).Steps;
        return new MetricsEvent
        {
            QueueDepth = _gateway.Desk.Waiting(QueueClass.Interactive) + _gateway.Desk.Waiting(QueueClass.Batch),
            OnTimeProbability = _deadline is { } limit ? _services.Times.Within(pool, limit - _gateway.Time.GetElapsedTime(_started == 0 ? _arrived : _started)) : null,
            KvWarmth = session.KvWarmth,
            TokensBudgetRemaining = session.TokensBudgetRemaining,
            TimeBudgetRemainingMs = session.TimeBudgetRemainingMs,
            CostBudgetRemaining = session.CostBudgetRemaining,
            Prep = prep.DistinctBy(s => s.Id).ToImmutableDictionary(s => s.Id, s => new OperationStep
            {
                Step = s.Id, Kind = s.Kind, Group = s.Group, Status = s.Status, BytesTotal = s.BytesTotal, Human = s.Description,
            }),
            Human = position >= 0
                ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"queued at position {position}, starts in about {estimate.Milliseconds:F0} ms")
                : $"running on {_ticket.Replica?.Status.Id}, {_task.TokensOut} tokens so far",
        };
    }

    /// <summary>Gives back what admission granted, without running.</summary>
    public void GiveUp()
    {
        _gateway.Desk.Leave(_ticket);
        _gateway.Desk.Release(_ticket, measured: false);
        _turn.Dispose();
        _watch.Finish();
    }

    /// <summary>Ends it because its client says so.</summary>
    public void Cancel()
    {
        _task.StopTokens();
        _watch.ClientGone();
    }

    /// <summary>The drain deadline has passed.</summary>
    public void Shutdown() => _watch.End(EndCause.Shutdown);

    /// <summary>Takes it out of the queue without ending it: its record lets the next start go on. False when it does not wait.</summary>
    public bool TryPark()
    {
        if (_attempts > 0 || Interlocked.Exchange(ref _parking, 1) != 0)
        {
            return _parked;
        }

        // Before its wait ends, so that whoever awaits it sees this.
        _parked = true;
        _parked = _gateway.Desk.Leave(_ticket);
        return _parked;
    }

    /// <summary>Runs it to its end; throws nothing.</summary>
    /// <param name="admittance">What admission said.</param>
    /// <param name="startNoted">Whether the journal knows already that it starts.</param>
    public async Task RunAsync(Admittance admittance, bool startNoted)
    {
        _startNoted = startNoted;
        Problem? problem;
        try
        {
            problem = await ServeAsync(admittance).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogUnexpected(_gateway.Log, _task.Id, e);
            problem = new Problem(ProblemCode.Internal, RouteServer.Unexpected);
        }

        _ticket.FirstByteAt = _attempt?.FirstByteAt ?? 0;
        _ticket.Tokens = _attempt?.Usage?.Completion ?? _task.TokensOut;
        Release(problem);
        if (_parked && _attempts == 0)
        {
            _turn.Dispose();
            _watch.Finish();
            return;
        }

        try
        {
            await EndAsync(problem).ConfigureAwait(false);
        }
        finally
        {
            _watch.Finish();
        }
    }

    public void Dispose() => _watch.Dispose();

    private async ValueTask<Problem?> ServeAsync(Admittance admittance)
    {
        Problem? last = null;
        while (true)
        {
            if (admittance == Admittance.Refused)
            {
                return last is null ? _ticket.Refusal : Exhausted(last);
            }

            if (admittance == Admittance.Waiting && await AwaitSlotAsync().ConfigureAwait(false) is { } lost)
            {
                return lost;
            }

            await BeginAsync().ConfigureAwait(false);
            if (_watch.Cause != EndCause.None)
            {
                return Ended();
            }

            _attempt = new TaskAttempt(_gateway, _watch, _task, _plan, _ticket);
            _watch.Hold(_ticket);
            var result = await _attempt.RunAsync(_requestId).ConfigureAwait(false);
            _watch.LetGo();
            _record!.Attempted(
                result.Problem?.Code, _attempt.FirstByteAt == 0 ? 0 : _gateway.Time.GetElapsedTime(_attempt.SentAt, _attempt.FirstByteAt).TotalMilliseconds);
            if (result.End != AttemptEnd.TryAgain)
            {
                return _watch.Cause is EndCause.Deadline or EndCause.Shutdown ? Ended() : result.Problem;
            }

            last = result.Problem!;
            if (_attempts >= _gateway.Admission.DispatchAttempts)
            {
                return Exhausted(last);
            }

            admittance = _gateway.Desk.TryAgain(_ticket);
            _gateway.Metrics.Retried(admittance == Admittance.Refused ? "exhausted" : "retried");
        }
    }

    private async ValueTask<Problem?> AwaitSlotAsync()
    {
        _waited = true;
        if (_deadline is null)
        {
            _watch.Expect(EndCause.QueueTimeout, _gateway.Options.QueueTimeout);
        }
        else
        {
            _watch.ExpectNothing();
        }

        WaitOutcome outcome;
        await using (_watch.Token.UnsafeRegister(static run => ((TaskRun)run!).LeaveQueue(), this).ConfigureAwait(false))
        {
            outcome = await _ticket.WaitAsync().ConfigureAwait(false);
        }

        return outcome switch
        {
            WaitOutcome.Granted when _watch.Cause == EndCause.None => null,
            WaitOutcome.Evicted => Evicted(),
            WaitOutcome.Unavailable => _ticket.Refusal ?? Unavailable(),
            WaitOutcome.LoadFailed => _ticket.Refusal!,
            WaitOutcome.Closed => EndProblems.Of(EndCause.Shutdown, _gateway.Options, queued: true),
            _ => Ended(),
        };
    }

    private void LeaveQueue() => _gateway.Desk.Leave(_ticket);

    private async ValueTask BeginAsync()
    {
        _attempts++;
        _engineSince = _gateway.Time.GetTimestamp();
        if (!_startNoted)
        {
            // Else a crash would run it twice.
            _startNoted = true;
            _task.NoteStart();
            await _services.Journal.NoteAsync(TaskRecord.OfStart(_task, NowMs)).ConfigureAwait(false);
        }

        _task.Started(_ticket.Replica!, _attempts, 0, 0, NowMs);
        _gateway.Metrics.Placed(_gateway.Desk.StrategyName, "placed", _ticket.DecidedIn / (double)_gateway.Time.TimestampFrequency);
        if (_attempts > 1)
        {
            return;
        }

        _started = _engineSince;
        _record?.Started(QueueMs, _ticket.Predicted);
        _gateway.Metrics.Started(Engine, _plan.Class, QueueMs / 1000);
        if (_ticket.Predicted is { } predicted)
        {
            _gateway.Metrics.Predicted(_plan.Class, Math.Abs(predicted.Milliseconds - QueueMs) / 1000);
        }

        if (_turn.TimeLimit is { } budget)
        {
            var left = _deadline - _gateway.Time.GetElapsedTime(_arrived);
            _timeBudgetBinds = left is null || budget < left;
            _watch.LimitTo(_timeBudgetBinds ? budget : left!.Value);
        }
    }

    private Problem Ended()
    {
        var queued = _attempts == 0;
        return _watch.Cause switch
        {
            EndCause.Deadline when _timeBudgetBinds && !queued =>
                new Problem(ProblemCode.BudgetExhausted, $"the time budget of session '{_plan.SessionId}' was used up while the engine worked"),
            EndCause.Deadline => new Problem(
                queued ? ProblemCode.DeadlineUnmet : ProblemCode.DecodeTimeout,
                $"the deadline of {_plan.DeadlineMs} ms passed while the task {(queued ? "waited for a slot" : "ran")}"),
            EndCause.Shutdown when !queued =>
                new Problem(ProblemCode.WorkerReset, "the server shut down while the task ran", Backoff: new Backoff(1000)),
            _ => EndProblems.Of(_watch.Cause, _gateway.Options, queued),
        };
    }

    private Problem Evicted()
    {
        var text = $"a newer request took this task's place in a full queue of {_gateway.Admission.Capacity} (policy {_gateway.Admission.PolicyName})";
        _gateway.Metrics.Rejected(Engine, _plan.Class, ProblemCode.QueueFullDropLru, _gateway.Admission.PolicyName);
        return new Problem(ProblemCode.QueueFullDropLru, text, Backoff: _gateway.Desk.BackoffFor(_ticket.Route, leastMs: 1));
    }

    private Problem Unavailable()
    {
        var text = $"every replica that could serve model '{_ticket.Route.Model}' has gone while the task waited";
        return new Problem(ProblemCode.ReplicaExhausted, text, Backoff: _gateway.Desk.BackoffFor(_ticket.Route, leastMs: 1000));
    }

    private Problem Exhausted(Problem last)
    {
        if (last.Code == ProblemCode.PoolUnready)
        {
            return last;
        }

        var text = $"{_attempts} of at most {_gateway.Admission.DispatchAttempts} attempts failed and no other replica of model '{_ticket.Route.Model}' is left; last: {last.Message}";
        return new Problem(ProblemCode.ReplicaExhausted, text, Backoff: _gateway.Desk.BackoffFor(_ticket.Route, leastMs: 1000));
    }

    private void Release(Problem? problem)
    {
        if (!_ticket.HoldsLease)
        {
            return;
        }

        var phase = _watch.Cause != EndCause.ClientGone ? null : _attempt is { FirstByteAt: > 0 } ? "streaming" : "prefill";
        if (_watch.Cause != EndCause.None && _attempt is not null && !_ticket.Replica!.IsRemote)
        {
            // The engine may need a moment to notice that nobody listens any more.
            _gateway.Settler.Take(_ticket, phase, _watch.EndedAt);
            return;
        }

        _gateway.Desk.Release(_ticket, measured: problem is null);
        if (phase is not null)
        {
            _gateway.Metrics.Cut(phase, _gateway.Time.GetElapsedTime(_watch.EndedAt).TotalSeconds);
        }
    }

    private async ValueTask EndAsync(Problem? problem)
    {
        var replica = _attempts > 0 ? _ticket.Replica : null;
        var usage = Usage(replica);
        var time = _gateway.Time;
        var engineTime = replica is null ? TimeSpan.Zero : time.GetElapsedTime(_started);
        _turn.Settle(replica?.Status.Id, usage?.PromptTokens ?? 0, usage?.CachedTokens ?? 0, usage?.CompletionTokens ?? 0, engineTime);

        var cancelled = _watch.Cause == EndCause.ClientGone;
        var decodeMs = _attempt is { FirstByteAt: > 0 and var first } ? (long)time.GetElapsedTime(first).TotalMilliseconds : 0;
        TaskView view;
        if (cancelled)
        {
            view = _task.Ending(TaskState.Cancelled, "cancelled", usage, decodeMs, NowMs);
        }
        else if (problem is null)
        {
            view = _task.Ending(TaskState.Completed, _attempt?.FinishReason ?? "stop", usage, decodeMs, NowMs) with { Result = _attempt?.Result };
        }
        else
        {
            view = _task.Ending(TaskState.Failed, "error", usage, decodeMs, NowMs) with { Error = ErrorOf(problem) };
        }

        _task.NoteEnd(view);
        await _services.Journal.NoteAsync(TaskRecord.OfEnd(_task, view)).ConfigureAwait(false);
        Count(problem, cancelled, replica, usage);
        _task.Finish(view);
    }

    private TaskUsage? Usage(Replica? replica)
    {
        if (replica is null)
        {
            return null;
        }

        if (_attempt?.Usage is { } told)
        {
            return new TaskUsage(told.Prompt, told.Completion, told.Prompt + told.Completion, told.Cached, Estimated: false);
        }

        // About four bytes are a token; the engine had no chance to count.
        var prompt = Math.Max(1, _plan.PromptBytes / 4);
        return new TaskUsage(prompt, _task.TokensOut, prompt + _task.TokensOut, 0, Estimated: true);
    }

    private TaskError ErrorOf(Problem problem)
    {
        var row = problem.Row;
        return new TaskError(row.Name, problem.Message, Engine, row.Retriable, row.Retriable ? problem.Backoff?.Milliseconds ?? 1000 : null);
    }

    private void Count(Problem? problem, bool cancelled, Replica? replica, TaskUsage? usage)
    {
        var time = _gateway.Time;
        var model = _ticket.Route.Model;
        var status = cancelled ? 499 : problem?.HttpStatus ?? 200;
        _gateway.Metrics.Requested("/v2/tasks", model, status, time.GetElapsedTime(_arrived).TotalSeconds);
        TokenUsage? told = usage is null ? null : new TokenUsage(usage.PromptTokens, usage.CachedTokens, usage.CompletionTokens);
        _record?.End(status, problem?.Code, time.GetElapsedTime(_arrived).TotalMilliseconds, told);
        if (cancelled)
        {
            _gateway.Metrics.Canceled(Engine, _plan.Class);
        }

        if (problem is not null || cancelled || replica is null || _attempt is not { } attempt)
        {
            return;
        }

        var pool = replica.Status.Id.PoolId;
        var firstByte = attempt.FirstByteAt == 0 ? time.GetTimestamp() : attempt.FirstByteAt;
        _gateway.Metrics.Answered(pool, model, time.GetElapsedTime(attempt.SentAt, firstByte).TotalSeconds, time.GetElapsedTime(firstByte).TotalSeconds);
        _gateway.Metrics.Tokens(pool, model, replica.Status.Mock, usage!.PromptTokens, usage.CachedTokens, usage.CompletionTokens);
        _services.Times.Observe(pool, time.GetElapsedTime(_started));
    }

    [LoggerMessage(EventId = 337, Level = LogLevel.Error, Message = "task {TaskId} failed unexpectedly")]
    private static partial void LogUnexpected(ILogger logger, string taskId, Exception error);
}
