using System.Collections.Concurrent;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution.Scheduling;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>
/// An output port that asks. Requests travel in the binding's stream like any events, so barriers and the end follow them; never more are under way
/// than the stream holds, so asking never waits inside the stream and several handlers may ask at once.
/// </summary>
#pragma warning disable CA1001 // A semaphore whose wait handle nobody asks for holds nothing to give back.
internal sealed class AskPort(OutputPort<JsonElement> requests, string component, TimeProvider time, Lane? lane = null) : IOutputPort, IAsk
#pragma warning restore CA1001
{
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<EventId, Asked> _waiting = new();
    private readonly string _origin = $"{component}.{requests.Plan.Name}";
    private SemaphoreSlim? _room;
    private BindingPlan? _binding;
    private long _next;
    private volatile bool _abandoned;
    private Action<Event<JsonElement>>? _watch;

    public PortPlan Plan => requests.Plan;

    public long Unbound => requests.Unbound;

    public bool IsBound => _binding is not null;

    /// <summary>Joins the port to the one who answers.</summary>
    public void Bind(BindingPlan binding, Target<JsonElement> target, EventStream<JsonElement> stream)
    {
        _binding = binding;
        _room = new SemaphoreSlim(binding.Buffer);
        requests.Add(target, stream);
    }

    public async ValueTask<JsonElement> AskAsync(Event<JsonElement> request, CancellationToken ct)
    {
        await _room!.WaitAsync(ct).ConfigureAwait(false);
        var id = EventId.Root(_origin, Interlocked.Increment(ref _next));
        var asked = new Asked(lane);
        _waiting[id] = asked;
        try
        {
            // Looked at behind the registration: whoever abandons later finds this one waiting.
            if (_abandoned)
            {
                throw Unanswered();
            }

            Send(request.WithId(id));
            return await asked.Answer.Task.WaitAsync(_binding!.Timeout, time, ct).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            throw new ItemException("timeout", $"{_binding!.ToComponent} did not answer {_origin} within {_binding.Timeout.TotalMilliseconds:F0} ms", ErrorClass.Transient);
        }
        finally
        {
            asked.EndWait();
            _waiting.TryRemove(id, out _);
            _room.Release();
        }
    }

    /// <summary>Whether someone here waits for the answer to this request.</summary>
    public bool IsAwaited(EventId request) => _waiting.ContainsKey(request);

    public void Answer(EventId request, JsonElement answer)
    {
        if (_waiting.TryGetValue(request, out var waiting))
        {
            waiting.EndWait();
            waiting.Answer.TrySetResult(answer);
        }
    }

    /// <summary>The one who answers has ended.</summary>
    public void Abandon()
    {
        _abandoned = true;
        foreach (var waiting in _waiting.Values)
        {
            waiting.EndWait();
            waiting.Answer.TrySetException(Unanswered());
        }
    }

    public void Flush()
    {
        lock (_lock)
        {
            requests.Flush();
        }
    }

    public void Complete()
    {
        lock (_lock)
        {
            requests.Complete();
        }
    }

    public void Mark(CheckpointBarrier barrier)
    {
        lock (_lock)
        {
            requests.Mark(barrier);
        }
    }

    public void Watch(Action<Event<JsonElement>> see) => _watch = see;

    private ItemException Unanswered() => new("unanswered", $"{_binding?.ToComponent} has ended before it answered {_origin}", ErrorClass.Transient);

    private void Send(in Event<JsonElement> request)
    {
        lock (_lock)
        {
            // Full only of requests whose askers have given up.
            if (!requests.TrySend(request))
            {
                throw new ItemException("timeout", $"{_binding!.ToComponent} has not taken the {_binding.Buffer} requests before this one", ErrorClass.Transient);
            }

            requests.Flush();
        }

        _watch?.Invoke(request);
    }

    // Under the deterministic scheduler the one who answers ends the wait.
    private sealed class Asked
    {
        private Lane? _lane;

        public Asked(Lane? lane)
        {
            _lane = lane;
            lane?.BeginWait();
        }

        public TaskCompletionSource<JsonElement> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void EndWait() => Interlocked.Exchange(ref _lane, null)?.EndWait();
    }
}

/// <summary>Takes answers back to the port that asked.</summary>
internal sealed class AnswerTarget(AskPort ask, BindingPlan binding) : Target<JsonElement>, IStreamEnd
{
    private readonly Queue<Event<JsonElement>> _answers = [];

    public override BindingPlan Plan => binding;

    public override IStreamEnd End => this;

    public override bool HasPrepared => _answers.Count > 0;

    public override void Prepare(in Event<JsonElement> e)
    {
        if (ask.IsAwaited(e.Id))
        {
            _answers.Enqueue(e);
        }
    }

    public override bool TryWrite()
    {
        var answer = _answers.Dequeue();
        ask.Answer(answer.Id, answer.Data);
        return true;
    }

    public override ValueTask WaitForRoomAsync(CancellationToken ct) => default;

    public override void Discard() => _answers.Clear();

    void IStreamEnd.Complete() => ask.Abandon();

    // Answers go to whoever asked and lie in no stream that could be looked into.
    IStreamTap IStreamEnd.Tap(int sample) => throw new NotSupportedException("answers are not tapped; tap the requests");

    void IStreamEnd.Flush()
    {
    }

    void IStreamEnd.Mark(CheckpointBarrier barrier)
    {
    }

    StreamSnapshot IStreamEnd.Snapshot() => throw new NotSupportedException("answers are in no stream");
}
