using System.Text;
using System.Text.Json.Serialization.Metadata;
using Loom.Control.Catalog;
using Loom.Core.Web;

namespace Loom.Control.Tasks;

/// <summary>
/// One task from acceptance to the end of its retention. Its run changes it, anybody reads it; each change is a short step under its own lock. It ends once.
/// </summary>
internal sealed class TaskEntry
{
    private readonly Lock _gate = new();
    private readonly StringBuilder _text = new();
    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<TaskAccepted> _accepted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private TaskView _view;
    private int _tokens;
    private int _readers;
    private int _verboseReaders;
    private bool _acceptedNoted;
    private bool _startNoted;
    private TaskView? _endNoted;
    private bool _stopped;
    private bool _finished;

    public TaskEntry(string owner, string id, long sequence, string digest, TaskRequest? request, TaskPlan? plan, TaskView view)
    {
        Owner = owner;
        Id = id;
        Sequence = sequence;
        Digest = digest;
        Request = request;
        Plan = plan;
        _view = view;
        // Nobody may ask for the answer of an entry that was refused.
        _ = _accepted.Task.ContinueWith(static t => t.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    /// <summary>Name of the caller it belongs to.</summary>
    public string Owner { get; }

    public string Id { get; }

    /// <summary>Place in the order of acceptance.</summary>
    public long Sequence { get; }

    /// <summary>Digest of the request's body.</summary>
    public string Digest { get; }

    /// <summary>The request; null once the task has ended.</summary>
    public TaskRequest? Request { get; private set; }

    /// <summary>The judged request; null once the task has ended.</summary>
    public TaskPlan? Plan { get; private set; }

    public EventRing Events { get; } = new();

    /// <summary>The answer to its request; faulted when it was refused.</summary>
    public Task<TaskAccepted> Accepted => _accepted.Task;

    /// <summary>Its run, while it waits or runs in this process.</summary>
    public TaskRun? Run { get; set; }

    /// <summary>Closes its readers without a terminal event: it goes on after a restart.</summary>
    public CancellationTokenSource Parked { get; } = new();

    /// <summary>The place in the queue that was told last.</summary>
    public int ToldPosition { get; private set; } = -1;

    /// <summary>Ends with the task, or when it was refused.</summary>
    public Task Over => _over.Task;

    public bool HasReaders => Volatile.Read(ref _readers) > 0;

    public bool HasVerboseReaders => Volatile.Read(ref _verboseReaders) > 0;

    public int TokensOut => Volatile.Read(ref _tokens);

    public TaskState State
    {
        get
        {
            lock (_gate)
            {
                return _view.State;
            }
        }
    }

    public bool Ended => State is TaskState.Completed or TaskState.Failed or TaskState.Cancelled;

    /// <summary>How it is now; position and prediction are the run's to add.</summary>
    public TaskView View
    {
        get
        {
            lock (_gate)
            {
                return _text.Length == 0 ? _view : _view with { Text = _text.ToString() };
            }
        }
    }

    /// <summary>
    /// What the journal has been told of it, or is being told: a step ahead of what readers see. The request is null once it has ended.
    /// </summary>
    public (bool Accepted, bool Started, TaskView? End, TaskRequest? Request) Noted
    {
        get
        {
            lock (_gate)
            {
                return (_acceptedNoted, _startNoted, _endNoted, Request);
            }
        }
    }

    /// <summary>Its acceptance is on disk.</summary>
    public void NoteAcceptance()
    {
        lock (_gate)
        {
            _acceptedNoted = true;
        }
    }

    /// <summary>The journal is about to be told that it starts.</summary>
    public void NoteStart()
    {
        lock (_gate)
        {
            _startNoted = true;
        }
    }

    /// <summary>The journal is about to be told how it ended.</summary>
    public void NoteEnd(TaskView end)
    {
        lock (_gate)
        {
            _endNoted = end;
        }
    }

    public void Accept(TaskAccepted answer) => _accepted.TrySetResult(answer);

    public void Refuse(Exception why)
    {
        _accepted.TrySetException(why);
        _over.TrySetResult();
    }

    public void ReaderJoined(bool verbose, int by)
    {
        Interlocked.Add(ref _readers, by);
        Interlocked.Add(ref _verboseReaders, verbose ? by : 0);
    }

    /// <summary>Tells the place in the queue.</summary>
    public void Queued(int position, long predictedMs)
    {
        ToldPosition = position;
        Tell(TaskEventKind.Queued, new QueuedEvent(position, predictedMs), TaskJson.Default.QueuedEvent);
    }

    public void Measured(MetricsEvent metrics) => Tell(TaskEventKind.Metrics, metrics, TaskJson.Default.MetricsEvent);

    /// <summary>It was dispatched; told once, to whichever replica it went first.</summary>
    public void Started(Replica replica, int attempts, int position, long predictedMs, long nowMs)
    {
        bool first;
        var id = replica.Status.Id;
        lock (_gate)
        {
            first = _view.State == TaskState.Queued;
            _view = _view with
            {
                State = first ? TaskState.Running : _view.State,
                StartedMs = _view.StartedMs ?? nowMs,
                Node = id.NodeId,
                Pool = id.PoolId,
                Attempts = attempts,
                Mock = replica.Status.Mock,
            };
        }

        if (first)
        {
            Tell(TaskEventKind.Started, new StartedEvent(position, predictedMs, id.NodeId, id.PoolId), TaskJson.Default.StartedEvent);
        }
    }

    /// <summary>Adds text of the answer.</summary>
    public void Token(string text)
    {
        int index;
        lock (_gate)
        {
            if (_stopped)
            {
                return;
            }

            _text.Append(text);
            index = _tokens++;
        }

        Tell(TaskEventKind.Token, new TokenEvent(text, index), TaskJson.Default.TokenEvent);
    }

    /// <summary>From now on no token is taken any more.</summary>
    public void StopTokens()
    {
        lock (_gate)
        {
            _stopped = true;
        }
    }

    /// <summary>The task as it will be once it has ended; nothing changes yet.</summary>
    public TaskView Ending(TaskState state, string finishReason, TaskUsage? usage, long decodeMs, long nowMs)
    {
        StopTokens();
        return View with
        {
            State = state,
            FinishReason = finishReason,
            Usage = usage,
            DecodeMs = decodeMs,
            TokensOut = TokensOut,
            EndedMs = nowMs,
            Canceled = state == TaskState.Cancelled,
        };
    }

    /// <summary>It has ended. The first call takes effect: it tells the terminal event.</summary>
    public bool Finish(TaskView ended)
    {
        lock (_gate)
        {
            if (_finished)
            {
                return false;
            }

            _finished = true;
            _stopped = true;
            _view = ended;
            _endNoted = ended;
            _text.Clear();
            Request = null;
            Plan = null;
        }

        if (ended.Error is { } error)
        {
            Tell(TaskEventKind.Error, error, TaskJson.Default.TaskError);
        }
        else
        {
            var end = new EndEvent
            {
                TokensOut = ended.TokensOut,
                DecodeMs = ended.DecodeMs,
                FinishReason = ended.FinishReason ?? "stop",
                Usage = ended.Usage,
                Canceled = ended.Canceled,
                Result = ended.Result,
                Mock = ended.Mock,
            };
            Tell(TaskEventKind.End, end, TaskJson.Default.EndEvent);
        }

        _over.TrySetResult();
        return true;
    }

    private void Tell<T>(TaskEventKind kind, T data, JsonTypeInfo<T> type) => Events.Append(kind, JsonAnswer.BytesOf(data, type));
}
