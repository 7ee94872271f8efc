using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Control.Sessions;
using Loom.Core.Loops;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Tasks;

/// <summary>
/// Takes tasks in, runs them behind the same admission as <c>/v1</c>, keeps them for their retention and, when they are durable, brings those that waited
/// back after a restart.
/// </summary>
internal sealed partial class TaskDesk : IAsyncDisposable
{
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_cancelled = TimeSpan.FromSeconds(5);

    private readonly GatewayServices _gateway;
    private readonly SessionTable _sessions;
    private readonly TaskOptions _options;
    private readonly ServiceTimes _times = new();
    private readonly TaskTable _table;
    private readonly ILogger _log;
    private readonly Lock _restoring = new();
    private readonly CancellationTokenSource _closing = new();
    private List<TaskEntry> _pending = [];
    private TaskServices? _services;
    private BackgroundLoop? _loop;
    private long _startedAt;
    private int _running;
    private volatile bool _closed;

    public TaskDesk(GatewayServices gateway, SessionTable sessions, TaskOptions options, ILogger log)
    {
        _gateway = gateway;
        _sessions = sessions;
        _options = options;
        _log = log;
        _table = new TaskTable(options.Retention, gateway.Time);
    }

    /// <summary>Tasks that wait or run in this process.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Why durable tasks are refused, in one sentence; null while they are not.</summary>
    public string? Fault => _services?.Journal.Fault ?? _loop?.Fault?.Message;

    /// <summary>Fires when readers must let go because the server stops.</summary>
    public CancellationToken Closing => _closing.Token;

    private TaskServices Services => _services ?? throw new InvalidOperationException("the desk of tasks was not started");

    /// <summary>Reads the journal and queues again what waited in it. To be called once, before the first request.</summary>
    public void Start()
    {
        _startedAt = _gateway.Time.GetTimestamp();
        var path = _options is { Durable: true, StateFolder: { } folder } ? Path.Combine(folder, "tasks.journal") : null;
        var replay = new TaskReplay();
        _services = new TaskServices(_gateway, _sessions, TaskJournal.Open(path, replay.Take, _gateway.Time, _log), _times);
        Restore(replay);
        _gateway.Replicas.Changed += OnReplicasChanged;
        _loop = BackgroundLoop.Start("tasks", TickAsync, _log);
        EnterPending();
    }

    /// <summary>Takes a task in.</summary>
    /// <param name="caller">Whose it is.</param>
    /// <param name="request">Its body.</param>
    /// <param name="digest">Digest of that body.</param>
    /// <param name="requestId">Id of the request that brought it; follows it to the engine.</param>
    /// <returns>The answer, which the same request gets again.</returns>
    /// <exception cref="ProblemException">Why it is not taken.</exception>
    public async Task<TaskAccepted> AcceptAsync(Caller caller, TaskRequest request, string digest, string requestId)
    {
        var plan = TaskJudge.Judge(request, static () => Guid.NewGuid().ToString());
        var id = request.TaskId ?? Guid.NewGuid().ToString();
        var task = Entry(caller.Name, id, digest, request with { SessionId = plan.SessionId }, plan, requestId, NowMs);
        if (!_table.TryAdd(task, out var known))
        {
            return known.Digest == digest
                ? await known.Accepted.ConfigureAwait(false)
                : throw new ProblemException(new Problem(ProblemCode.Conflict, $"task '{id}' exists with another body; use another task_id"));
        }

        try
        {
            var answer = await AdmitAsync(task, plan, requestId).ConfigureAwait(false);
            task.Accept(answer);
            return answer;
        }
        catch (Exception e)
        {
            _table.Remove(task);
            task.Refuse(e);
            throw;
        }
    }

    /// <summary>A task the caller may see.</summary>
    /// <exception cref="ProblemException">404.</exception>
    public TaskEntry Find(Caller caller, string id) => _table.Find(caller, id) ?? throw Missing(id);

    /// <summary>Tasks the caller may see, in the order of their acceptance.</summary>
    public IEnumerable<TaskEntry> List(Caller caller) => _table.All().Where(t => caller.Sees(t.Owner));

    /// <summary>How a task is now, its place in the queue included.</summary>
    public static TaskView ViewOf(TaskEntry task)
    {
        var view = task.View;
        if (view.State == TaskState.Queued && task.Run is { } run)
        {
            var (position, predicted) = run.Outlook();
            return view with { QueuePosition = position, PredictedStartMs = predicted, TokensOut = task.TokensOut };
        }

        return view with { TokensOut = task.TokensOut };
    }

    /// <summary>Cancels a task; returns once it has ended.</summary>
    /// <exception cref="ProblemException">404; 409 when it ended in another way; 503 when it has not ended.</exception>
    public async Task CancelAsync(Caller caller, string id)
    {
        var task = Find(caller, id);
        if (TryTakePending(task))
        {
            await FinishUnrunAsync(task, task.Ending(TaskState.Cancelled, "cancelled", null, 0, NowMs)).ConfigureAwait(false);
        }

        if (task.Run is null)
        {
            // It is being accepted, or has ended.
            await ((Task)task.Accepted).WaitAsync(s_cancelled, _gateway.Time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        task.Run?.Cancel();
        await task.Over.WaitAsync(s_cancelled, _gateway.Time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (task.Accepted.IsFaulted)
        {
            throw Missing(id);
        }

        if (task.State is TaskState.Completed or TaskState.Failed)
        {
            throw new ProblemException(new Problem(ProblemCode.Conflict, $"task '{id}' cannot be cancelled: it has {task.State.ToString().ToLowerInvariant()}"));
        }

        if (!task.Ended)
        {
            throw new ProblemException(new Problem(
                ProblemCode.NodeUnavailable,
                _closed ? $"the server is shutting down and task '{id}' goes on when it is back; cancel it then" : $"task '{id}' has not ended within {s_cancelled.TotalSeconds:F0} s; ask again",
                Backoff: new Backoff(1000)));
        }
    }

    /// <summary>
    /// Takes no task any more. Durable tasks that wait leave the queue for the next start, and their readers are let go; the others go on.
    /// </summary>
    public void Close()
    {
        _closed = true;
        // First those that wait for a node: what enters the queue meanwhile is then found there.
        foreach (var task in TakePending())
        {
            task.Parked.Cancel();
        }

        foreach (var task in _table.All())
        {
            Park(task);
        }
    }

    private void Park(TaskEntry task)
    {
        if (Services.Journal.IsDurable && task.Run?.TryPark() == true)
        {
            task.Parked.Cancel();
        }
    }

    /// <summary>Ends what still runs.</summary>
    public void Shutdown()
    {
        foreach (var task in _table.All())
        {
            task.Run?.Shutdown();
        }
    }

    /// <summary>Waits until everything has ended and is on disk.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_services is null || _closing.IsCancellationRequested)
        {
            return;
        }

        _gateway.Replicas.Changed -= OnReplicasChanged;
        if (!_closed)
        {
            Close();
        }

        Shutdown();
        foreach (var task in _table.All())
        {
            if (task.Run is { IsParked: false })
            {
                await task.Over.WaitAsync(s_cancelled, _gateway.Time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await _closing.CancelAsync().ConfigureAwait(false);
        if (_loop is not null)
        {
            await _loop.DisposeAsync().ConfigureAwait(false);
        }

        await _services.Journal.DisposeAsync().ConfigureAwait(false);
    }

    private ProblemException Missing(string id) => new(new Problem(
        ProblemCode.NotFound, $"there is no task '{id}': it never was, it ended more than {_options.Retention.TotalSeconds:F0} s ago, or it belongs to another key"));

    private long NowMs => _gateway.Time.GetUtcNow().ToUnixTimeMilliseconds();

    private TaskEntry Entry(string owner, string id, string digest, TaskRequest request, TaskPlan plan, string? correlationId, long createdMs)
    {
        var path = $"/v2/tasks/{Uri.EscapeDataString(id)}/events";
        var view = new TaskView
        {
            TaskId = id,
            State = TaskState.Queued,
            SessionId = plan.SessionId,
            ModelRef = plan.ModelRef,
            Workload = plan.Workload,
            Priority = plan.Class == Core.Queues.QueueClass.Batch ? "batch" : "interactive",
            CreatedMs = createdMs,
            CorrelationId = correlationId,
            Streams = new TaskStreams(path, path + "?verbose=true"),
        };
        return new TaskEntry(owner, id, _table.NextSequence(), digest, request, plan, view);
    }

    private async Task<TaskAccepted> AdmitAsync(TaskEntry task, TaskPlan plan, string requestId)
    {
        if (_closed)
        {
            throw new ProblemException(new Problem(
                ProblemCode.NodeUnavailable, "the server is shutting down and takes no new work; try again when it is back", Backoff: new Backoff(1000)));
        }

        if (!_gateway.Replicas.Current.TryResolve(plan.ModelRef, out var route))
        {
            throw new ProblemException(CallChecks.UnknownModel(_gateway.Replicas.Current, plan.ModelRef) with { Param = "model_ref" });
        }

        if (Services.Journal.Fault is not null)
        {
            // Nobody loses a place in the queue to a task that cannot be accepted.
            await Services.Journal.WriteAsync(new TaskRecord { Kind = "probe", TaskId = task.Id }).ConfigureAwait(false);
        }

        var run = Begin(task, plan, route, requestId);
        var admittance = run.Enter(route, plan.DeadlineMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null);
        if (admittance == Admittance.Refused)
        {
            run.GiveUp();
            run.Dispose();
            throw new ProblemException(run.Refusal! with { PolicyLabel = _gateway.Admission.PolicyName });
        }

        var started = admittance == Admittance.Granted;
        var (position, predicted) = run.Outlook();
        if (started)
        {
            task.NoteStart();
        }

        // From here on it can be cancelled and parked, also while its record is on its way to the disk.
        task.Run = run;
        try
        {
            await Services.Journal.WriteAsync(TaskRecord.OfAcceptance(task, task.Request!, started), task.NoteAcceptance).ConfigureAwait(false);
        }
        catch
        {
            task.Run = null;
            run.GiveUp();
            run.Dispose();
            throw;
        }

        if (_closed)
        {
            // Close may have looked a moment too early.
            Park(task);
        }

        task.Queued(position, predicted);
        Launch(task, run, admittance, started);
        return new TaskAccepted(task.Id, position, predicted, 0, task.View.Streams!, Preparation.Of(route)) { SessionId = plan.SessionId };
    }

    private TaskRun Begin(TaskEntry task, TaskPlan plan, ModelRoute route, string requestId)
    {
        TimeSpan? limit = plan.DeadlineMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null;
        var need = SessionNeeds.Of(plan.PromptBytes, plan.MaxTokens, limit, route, _sessions.Prices);
        var turn = _sessions.Begin(task.Owner, plan.SessionId, need);
        return new TaskRun(Services, task, plan, turn, requestId);
    }

    private void Launch(TaskEntry task, TaskRun run, Admittance admittance, bool startNoted)
    {
        Interlocked.Increment(ref _running);
        _ = RunAsync();

        async Task RunAsync()
        {
            await Task.Yield();
            try
            {
                await run.RunAsync(admittance, startNoted).ConfigureAwait(false);
            }
            catch (Exception e)
            {
                LogLost(_log, task.Id, e);
                task.Finish(task.Ending(TaskState.Failed, "error", null, 0, NowMs) with { Error = new TaskError("INTERNAL", RouteServer.Unexpected, null, false, null) });
            }

            task.Run = null;
            run.Dispose();
            if (task.Ended)
            {
                _table.Ended(task, TimeSpan.Zero);
            }

            Interlocked.Decrement(ref _running);
        }
    }

    private async Task FinishUnrunAsync(TaskEntry task, TaskView view)
    {
        task.NoteEnd(view);
        await Services.Journal.NoteAsync(TaskRecord.OfEnd(task, view)).ConfigureAwait(false);
        if (task.Finish(view))
        {
            _table.Ended(task, TimeSpan.Zero);
        }
    }

    [LoggerMessage(EventId = 340, Level = LogLevel.Error, Message = "task {TaskId} ended unexpectedly")]
    private static partial void LogLost(ILogger logger, string taskId, Exception error);
}
