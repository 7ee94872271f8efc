using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Capabilities;
using Loom.Harness.Control;
using Loom.Harness.Errors;
using Loom.Harness.Execution.Scheduling;
using Loom.Harness.Streams;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Execution;

/// <summary>What the loop of a component needs besides the component: made once by the wiring and kept across restarts.</summary>
/// <param name="plan">The component.</param>
/// <param name="time">The clock of the run.</param>
/// <param name="lane">Where it runs under the deterministic scheduler; null: on the pool.</param>
internal sealed class LoopContext(ComponentPlan plan, TimeProvider time, Lane? lane = null)
{
    private readonly Dictionary<string, IRedelivers> _own = new(StringComparer.Ordinal);
    private readonly HashSet<IOutputPort> _completed = [];
    private Refusals? _refusals;
    private int _attention;

    public ComponentPlan Plan => plan;

    public TimeProvider Time => time;

    /// <summary>Where it runs under the deterministic scheduler; null: on the pool.</summary>
    public Lane? Lane => lane;

    /// <summary>Where the loop waits.</summary>
    public Gate Gate { get; } = new(new Signal(lane));

    /// <summary>Where the loop waits for room in its outputs.</summary>
    public Signal Outbox { get; } = new(lane);

    public ComponentCounters Counters { get; } = new() { IsEnd = plan.Ports.All(p => p.Class != SemanticClass.DataOut) };

    /// <summary>How long it stood still for its parts in checkpoints.</summary>
    public LatencyHistogram Pauses { get; } = new();

    /// <summary>What the component counts of its own accord.</summary>
    public ComponentMetrics Metrics { get; } = new();

    /// <summary>All outputs, the data outputs in the order of the component's own list first.</summary>
    public List<IOutputPort> Outputs { get; } = [];

    /// <summary>Typed input ports by name, each an InputPort of its payload.</summary>
    public Dictionary<string, object> Inputs { get; } = new(StringComparer.Ordinal);

    /// <summary>What the component's streams refused while it looked at them.</summary>
    public Refusals Refusals => _refusals ??= new Refusals(() => Ask(Attention.Refused));

    /// <summary>Where failed items go.</summary>
    public required IErrorDestination Errors { get; set; }

    /// <summary>A text about a failed event as it may be told.</summary>
    public Func<ItemFailure, string, string> Clean { get; init; } = static (_, text) => text;

    /// <summary>Takes the component's part in a checkpoint.</summary>
    public required ICheckpointParts Checkpoints { get; init; }

    /// <summary>Asked to stop softly.</summary>
    public required CancellationToken Stopping { get; init; }

    /// <summary>The run, for batch ids.</summary>
    public required string Run { get; init; }

    /// <summary>For what brings events in: one in this many is traced.</summary>
    public int TraceSample { get; init; } = 1000;

    /// <summary>Makes the links of the chain that ends in the component.</summary>
    public required ChainBuilder Chain { get; init; }

    /// <summary>Events from outside the component's streams.</summary>
    public Injections Injections { get; } = new();

    /// <summary>Who waits for word that what the component sent is confirmed.</summary>
    public required Acknowledgements Acknowledgements { get; init; }

    /// <summary>For a class with a loop of its own: number of the newest barrier it has passed, by whichever input.</summary>
    public long PassedBarrier { get; set; }

    /// <summary>Resumes a component that waits for a person.</summary>
    public PauseSwitch Pause { get; } = new(lane);

    /// <summary>Streams that bring its own outputs back to it, by way of others.</summary>
    public List<IFeedbackStream> Feedbacks { get; } = [];

    /// <summary>The loop of bindings it is a member of; null: none.</summary>
    public FeedbackLoop? Cycle { get; set; }

    /// <summary>Carries out what it is told while it runs.</summary>
    public ComponentControls Controls { get; set; } = null!;

    /// <summary>Gives the component the options it has been told to take.</summary>
    public Func<CancellationToken, ValueTask> Reconfigure { get; set; } = static _ => default;

    /// <summary>For a source: where reading goes on in each partition, after the last event it sent.</summary>
    public Dictionary<string, long> Offsets { get; } = new(StringComparer.Ordinal);

    /// <summary>A barrier a source has been asked to send; taken by its loop between two reads.</summary>
    public CheckpointBarrier? WantedBarrier { get; private set; }

    /// <summary>The newest checkpoint that is durable.</summary>
    public CheckpointBarrier? CommittedBarrier { get; private set; }

    /// <summary>Says that a checkpoint is durable: sources acknowledge, sinks make visible.</summary>
    public void Commit(CheckpointBarrier barrier)
    {
        CommittedBarrier = barrier;
        Ask(Attention.Commit);
    }

    /// <summary>Asks a source for a barrier.</summary>
    public void Want(CheckpointBarrier barrier)
    {
        WantedBarrier = barrier;
        Ask(Attention.Barrier);
    }

    /// <summary>Asks the loop to look up at its next item boundary.</summary>
    public void Ask(Attention what)
    {
        Interlocked.Or(ref _attention, (int)what);
        Gate.Interrupt();
    }

    public Attention TakeAttention() => (Attention)Interlocked.Exchange(ref _attention, 0);

    public OutputPort<T>[] DataOutputs<T>(IReadOnlyList<string> names) =>
        [.. names.Select(n => (OutputPort<T>)Outputs.Single(o => o.Plan.Name == n))];

    public InputPort<T>[] DataInputs<T>(IReadOnlyList<string> names) => [.. names.Select(n => (InputPort<T>)Inputs[n])];

    /// <summary>An input of a class with a loop of its own; the same one across restarts, so that an event in hand comes again.</summary>
    public OwnInput<T> OwnInput<T>(string port)
    {
        if (_own.TryGetValue(port, out var own))
        {
            return (OwnInput<T>)own;
        }

        var input = Inputs.GetValueOrDefault(port) switch
        {
            InputPort<T> typed => new OwnInput<T>(this, typed),
            null => throw new InvalidOperationException($"component \"{plan.Name}\" has no input port \"{port}\""),
            var other => throw new InvalidOperationException($"input port \"{port}\" of \"{plan.Name}\" is {other.GetType().GenericTypeArguments[0].Name}, not {typeof(T).Name}"),
        };
        _own[port] = input;
        return input;
    }

    /// <summary>Takes the next event from outside the streams into hand, and counts it; null: there is none, or the loop of bindings has no room for it now.</summary>
    /// <param name="port">Null: of any port.</param>
    public Injection? Inject(string? port = null)
    {
        if (!Injections.IsWaiting || Cycle?.TryInject() == false)
        {
            return null;
        }

        if (Injections.Take(port) is { } injection)
        {
            return injection;
        }

        Cycle?.Lost(1);
        return null;
    }

    /// <summary>An event from outside cannot be read: it never came.</summary>
    public void Reject(Injection injection)
    {
        Cycle?.Lost(1);
        injection.End(InjectionEnd.Refused);
    }

    /// <summary>After an orderly end: what a class with a loop of its own was given last is done, although it asked for no more.</summary>
    public void FinishOwn()
    {
        foreach (var own in _own.Values)
        {
            own.Finish();
        }
    }

    /// <summary>Whether an event that a loop had in hand when it failed waits to be taken again.</summary>
    public bool HasReturned() => Returned > 0;

    /// <summary>Events that a loop had in hand when it failed and that wait to be taken again.</summary>
    public int Returned => Inputs.Values.Cast<IDiverted>().Sum(i => i.Returned);

    /// <summary>After a failure: events in hand come again, or go to the error destination after their third delivery.</summary>
    public async ValueTask RedeliverAsync(Exception error, CancellationToken ct)
    {
        foreach (var input in Inputs.Values.Cast<IDiverted>())
        {
            await input.RedeliverAsync(plan.Name, error, async failure =>
            {
                await Errors.TakeAsync(failure, ct).ConfigureAwait(true);
                Counters.CountTaken();
                Counters.CountFailed();
            }).ConfigureAwait(true);
        }

        foreach (var own in _own.Values)
        {
            await own.RedeliverAsync(error, ct).ConfigureAwait(true);
        }
    }

    /// <summary>
    /// Hands the events in hand, and every event of the inputs to their end, to the error destination, in place of a component that failed for good. All outputs but an error port are complete.
    /// </summary>
    /// <param name="error">Why it failed.</param>
    /// <param name="memory">Its last state, which stands for it in every later checkpoint; null: it has none.</param>
    /// <param name="unknown">Why its last state is not known: then no checkpoint can be complete any more. Null: it is known.</param>
    /// <param name="ct">Gives up.</param>
    public async Task DivertAsync(Exception error, byte[]? memory, Exception? unknown, CancellationToken ct)
    {
        StateWriter? state = memory is null ? null : (into, stop) => into.WriteAsync(memory, stop);
        try
        {
            foreach (var own in _own.Values)
            {
                await own.RefuseAsync(error, ct).ConfigureAwait(true);
            }
        }
        finally
        {
            Injections.Close();
        }

        while (true)
        {
            foreach (var input in Inputs.Values.Cast<IDiverted>())
            {
                while (input.TryDivert(plan.Name, error) is { } failure)
                {
                    Counters.CountTaken();
                    await Errors.TakeAsync(failure, ct).ConfigureAwait(true);
                    Counters.CountFailed();
                }
            }

            var at = await Gate.WaitAsync(ct).ConfigureAwait(true);
            await RefuseAsync(ct).ConfigureAwait(true);
            switch (at)
            {
                case GateState.Ended:
                    if (unknown is null)
                    {
                        Checkpoints.Ended(plan.Name, Offsets, state);
                    }

                    return;
                case GateState.Barrier when unknown is not null:
                    Abandon(Gate.Barrier!, unknown);
                    break;
                case GateState.Barrier:
                    await PassAsync(Gate.Barrier!, () => new(state)).ConfigureAwait(true);
                    break;
                case GateState.Interrupted:
                    Gate.TakeInterrupt();
                    break;
            }
        }
    }

    /// <summary>Hands on what the component's streams refused; before a barrier passes and before the end, so that nothing stays behind.</summary>
    public ValueTask RefuseAsync(CancellationToken ct) => _refusals is { IsEmpty: false } refused ? refused.SendAsync(Errors, ct) : default;

    public void FlushOutputs()
    {
        foreach (var output in Outputs)
        {
            output.Flush();
        }
    }

    /// <summary>Passes a barrier: what is frozen belongs to the checkpoint, the barrier goes on. A component that cannot take part abandons the checkpoint, never the run.</summary>
    /// <param name="barrier">The barrier.</param>
    /// <param name="freeze">Flushes what must be and freezes the state.</param>
    public async ValueTask PassAsync(CheckpointBarrier barrier, Func<ValueTask<StateWriter?>> freeze)
    {
        StateWriter? state;
        if (Gate.IsPartial && ReferenceEquals(barrier, Gate.Barrier))
        {
            Abandon(barrier, new InvalidOperationException("its inputs could not be brought to one moment: a later stream of a concatenated input waits unread, or a source was too late for this checkpoint"));
            return;
        }

        var start = time.GetTimestamp();
        try
        {
            state = await freeze().ConfigureAwait(true);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            Abandon(barrier, e);
            return;
        }

        foreach (var feedback in Feedbacks)
        {
            feedback.Record(barrier);
        }

        MarkOutputs(barrier);
        Pauses.Add(time.GetElapsedTime(start));
        Checkpoints.Passed(plan.Name, barrier, new Dictionary<string, long>(Offsets, StringComparer.Ordinal), state);
    }

    /// <summary>The component cannot take part: the checkpoint is abandoned, and others still see its barrier pass.</summary>
    public void Abandon(CheckpointBarrier barrier, Exception error)
    {
        MarkOutputs(barrier);
        Checkpoints.Failed(plan.Name, barrier, error);
    }

    /// <summary>Wakes the loop wherever it waits: a stop or the end of the run.</summary>
    public void Wake()
    {
        Gate.Interrupt();
        Outbox.Set();
    }

    private void MarkOutputs(CheckpointBarrier barrier)
    {
        foreach (var output in Outputs.Where(o => !_completed.Contains(o)))
        {
            output.Mark(barrier);
        }
    }

    /// <param name="but">An output of this class stays open; null: none does.</param>
    public void CompleteOutputs(SemanticClass? but = null)
    {
        foreach (var output in Outputs.Where(o => o.Plan.Class != but && _completed.Add(o)))
        {
            output.Complete();
        }
    }
}

/// <summary>Why a loop is asked to look up.</summary>
[Flags]
internal enum Attention
{
    None = 0,
    Tick = 1,
    Barrier = 2,
    Commit = 4,
    Pause = 8,

    /// <summary>An item in work has finished.</summary>
    Finished = 16,

    /// <summary>A batch has waited long enough.</summary>
    BatchDue = 32,

    /// <summary>The component itself has work from elsewhere.</summary>
    Wake = 64,

    /// <summary>A stream of the component refused an event.</summary>
    Refused = 128,

    /// <summary>The component's options were changed.</summary>
    Config = 256,

    /// <summary>An event from outside the component's streams waits.</summary>
    Inject = 512,
}

/// <summary>Takes each component's part in a checkpoint.</summary>
internal interface ICheckpointParts
{
    /// <summary>The component has passed the barrier; its state as of then.</summary>
    void Passed(string component, CheckpointBarrier barrier, IReadOnlyDictionary<string, long> offsets, StateWriter? state);

    /// <summary>The component could not take part; the checkpoint is abandoned and processing goes on.</summary>
    void Failed(string component, CheckpointBarrier barrier, Exception error);

    /// <summary>Whether what a crash repeats is bounded, so that sources must ask and count.</summary>
    bool IsBounded { get; }

    /// <summary>Whether a source must wait for a checkpoint before it sends another event.</summary>
    bool MustHold { get; }

    /// <summary>A source has sent another event; whoever counts may ask for a checkpoint.</summary>
    void CountSent();

    /// <summary>Somebody waits to know that what was sent is confirmed: a barrier goes out soon.</summary>
    /// <param name="now">Also where state is kept, where the next checkpoint would tell it otherwise.</param>
    void WantConfirmed(bool now);

    /// <summary>The component has ended; its last state stands for every later checkpoint.</summary>
    void Ended(string component, IReadOnlyDictionary<string, long> offsets, StateWriter? state);
}
