using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Capabilities;
using Loom.Harness.Errors;
using Loom.Harness.Streams;

namespace Loom.Harness.Execution;

/// <summary>What the loops of item components share: waiting for input, barriers, ticks, commits, pauses, outputs and errors.</summary>
internal abstract class LoopBase<TIn, TOut>(LoopContext context, ItemComponent<TIn, TOut> component) : IDisposable
{
    protected LoopContext Context => context;

    protected ItemComponent<TIn, TOut> Component => component;

    protected InputPort<TIn>[] Inputs { get; } = context.DataInputs<TIn>(component.Inputs);

    protected OutputPort<TOut>[] Outputs { get; } = context.DataOutputs<TOut>(component.Outputs);

    /// <summary>The chain that ends in the component.</summary>
    protected abstract Link Chain { get; }

    /// <summary>The port whose turn it is.</summary>
    protected int NextPort { get; set; }

    public async Task RunAsync(CancellationToken ct)
    {
        await using var cancel = ct.UnsafeRegister(static c => ((LoopContext)c!).Wake(), context);
        using var ticks = component.Tick is { } every
            ? context.Time.CreateTimer(static c => ((LoopContext)c!).Ask(Attention.Tick), context, every, every)
            : null;
        try
        {
            await ProcessAsync(ct).ConfigureAwait(true);
        }
        catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
        {
            // The next instance gets what is in hand before anything else; where there is none, it becomes dead letters or comes again with the next run.
            var inHand = InHand().ToList();
            foreach (var (held, port, begun) in Enumerable.Reverse(inHand))
            {
                Inputs[port].Return(held, begun);
            }

            context.Counters.CountReturned(inHand.Count);

            context.Gate.Return(context.HasReturned);
            throw;
        }
        finally
        {
            context.FlushOutputs();
        }

        await FlushAsync(end: true, ct).ConfigureAwait(true);
        var state = await component.SnapshotAsync(ct).ConfigureAwait(true);
        context.Injections.Close();
        context.Checkpoints.Ended(context.Plan.Name, context.Offsets, state);
    }

    public abstract void Dispose();

    /// <summary>Handles events until the inputs have ended.</summary>
    protected abstract Task ProcessAsync(CancellationToken ct);

    /// <summary>Events that were taken and neither handled nor refused when <see cref="ProcessAsync"/> threw, in the order they were taken; and whether the component had been given them.</summary>
    protected abstract IEnumerable<(Event<TIn> Event, int Port, bool Begun)> InHand();

    /// <summary>Everything taken is handled and its outputs are sent.</summary>
    protected virtual ValueTask SettleAsync(BatchReason reason, CancellationToken ct) => default;

    /// <summary>Waits until nothing is being worked on.</summary>
    /// <param name="busy">Whether something is.</param>
    /// <param name="advance">Takes what has finished and sets to work what waits.</param>
    /// <param name="ct">Gives up.</param>
    protected async ValueTask WorkOffAsync(Func<bool> busy, Func<CancellationToken, ValueTask> advance, CancellationToken ct)
    {
        await advance(ct).ConfigureAwait(true);
        var asked = false;
        while (busy())
        {
            await context.Gate.WaitForInterruptAsync(ct).ConfigureAwait(true);
            asked |= context.Gate.TakeInterrupt();
            ct.ThrowIfCancellationRequested();
            await advance(ct).ConfigureAwait(true);
        }

        if (asked)
        {
            context.Gate.Interrupt(); // for more, perhaps, than work that has finished
        }
    }

    protected Emitter<TOut> NewEmitter() => new(component.Outputs) { Release = ReleaseEarlyAsync };

    /// <summary>
    /// Waits for the next event and deals with barriers and requests on the way. Ready: there is one; Ended: there will be none; anything else: something
    /// was dealt with, look again.
    /// </summary>
    /// <param name="ct">Gives up.</param>
    /// <param name="wanted">Events that are worth waking for.</param>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    protected async ValueTask<GateState> NextAsync(CancellationToken ct, int wanted = 1)
    {
        var state = context.Gate.Look(wanted);
        if (state == GateState.Empty)
        {
            state = await context.Gate.WaitAsync(ct, wanted).ConfigureAwait(true);
        }

        await context.RefuseAsync(ct).ConfigureAwait(true);
        if (state == GateState.Ended && context.Plan.Type == ComponentType.Controller)
        {
            // Nothing to read, now or ever: it acts by its ticks until the system has ended.
            await context.Gate.WaitForInterruptAsync(ct).ConfigureAwait(true);
            state = GateState.Interrupted;
        }

        switch (state)
        {
            case GateState.Ended:
                await SettleAsync(BatchReason.End, ct).ConfigureAwait(true);
                break;
            case GateState.Barrier:
                await PassAsync(context.Gate.Barrier!, ct).ConfigureAwait(true);
                break;
            case GateState.Interrupted:
                await AttendAsync(ct).ConfigureAwait(true);
                break;
        }

        return state;
    }

    /// <summary>Deals with what the loop was asked to look up for.</summary>
    protected async ValueTask AttendAsync(CancellationToken ct)
    {
        context.Gate.TakeInterrupt();
        ct.ThrowIfCancellationRequested();
        var attention = context.TakeAttention();
        await context.RefuseAsync(ct).ConfigureAwait(true);
        if (attention.HasFlag(Attention.Tick))
        {
            var output = NewEmitter();
            await component.OnTickAsync(context.Time.GetUtcNow(), output, ct).ConfigureAwait(true);
            await SendAsync(output, ct).ConfigureAwait(true);
        }

        await AttendAsync(attention, ct).ConfigureAwait(true);
        if (attention.HasFlag(Attention.Commit))
        {
            await component.CommitAsync(ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Config))
        {
            await SettleAsync(BatchReason.Barrier, ct).ConfigureAwait(true);
            await context.Reconfigure(ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Pause))
        {
            await context.Pause.WaitAsync(ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Inject))
        {
            await InjectAsync(ct).ConfigureAwait(true);
        }
    }

    // Events that come again: between two others, with nothing in hand, so they need no stream of their own.
    private async ValueTask InjectAsync(CancellationToken ct)
    {
        await SettleAsync(BatchReason.Barrier, ct).ConfigureAwait(true);
        while (context.Inject() is { } injection)
        {
            var port = Array.FindIndex([.. component.Inputs], name => name == injection.Port);
            if (port < 0 || !OutsideEvent.TryRead(injection.Event, out Event<TIn> e))
            {
                context.Reject(injection);
                continue;
            }

            var end = InjectionEnd.Refused;
            context.Counters.CountTaken();
            try
            {
                end = await HandleAgainAsync(e, port, ct).ConfigureAwait(true) ? InjectionEnd.Done : InjectionEnd.Failed;
            }
            catch
            {
                // It stays where it came from.
                context.Counters.CountReturned(1);
                context.Cycle?.Lost(1);
                throw;
            }
            finally
            {
                injection.End(end);
            }
        }

        // What was asked for meanwhile is looked at next.
        context.Gate.Interrupt();
    }

    /// <summary>Handles an event that comes again, alone and to its end; false when it went to the error destination.</summary>
    protected virtual async ValueTask<bool> HandleAgainAsync(Event<TIn> e, int port, CancellationToken ct)
    {
        using var call = new ItemCall<TIn, TOut>(context.Plan.Name, NewEmitter()) { Run = ct };
        call.Slot = e;
        call.Taken(port);
        while (true)
        {
            try
            {
                await Chain.InvokeAsync(call).ConfigureAwait(true);
                var emitted = call.Output.Count;
                await ReleaseAsync(call.Output, 0, ct).ConfigureAwait(true);
                context.Counters.CountDone(emitted);
                return true;
            }
            catch (Exception error) when (error is not OperationCanceledException || !ct.IsCancellationRequested)
            {
                call.Output.Clear();
                if (!await RefuseAsync(call.Event, call.Port, error, call.Attempt, index: null, ct).ConfigureAwait(true))
                {
                    context.Counters.CountFailed();
                    return false;
                }

                call.Start();
            }
        }
    }

    /// <summary>Requests only one kind of loop knows.</summary>
    protected virtual ValueTask AttendAsync(Attention attention, CancellationToken ct) => default;

    /// <summary>Sends what an emitter holds from an index on; waits for room.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    protected async ValueTask ReleaseAsync(Emitter<TOut> output, int from, CancellationToken ct)
    {
        for (var i = from; i < output.Count; i++)
        {
            var port = Outputs[output.PortIndexOf(i)];
            if (!port.TrySend(output[i]))
            {
                await port.SendSlowAsync(output[i], ct).ConfigureAwait(true);
            }
        }

        context.FlushOutputs();
    }

    /// <summary>
    /// Hands a failed event to its error destination. A failure of configuration holds the component instead, with the event in hand: true when it
    /// was let go on and the event is to be tried again.
    /// </summary>
    /// <param name="e">The event.</param>
    /// <param name="port">Its input.</param>
    /// <param name="error">Why.</param>
    /// <param name="attempt">Which attempt failed.</param>
    /// <param name="index">Its place in a batch.</param>
    /// <param name="ct">Gives up.</param>
    /// <param name="releases">How often the component had been let go on when the event failed; null: until now.</param>
    protected async ValueTask<bool> RefuseAsync(Event<TIn> e, int port, Exception error, int attempt, int? index, CancellationToken ct, long? releases = null)
    {
        context.FlushOutputs();
        if (error is Commands.ComponentFailedException)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(error); // not the event's fault
        }

        if (ErrorClasses.Of(error) == ErrorClass.Configuration)
        {
            await HoldAsync(error, [e], port, releases, ct).ConfigureAwait(true);
            return true;
        }

        var failure = ItemFailure.Of(context.Plan.Name, component.Inputs[port], e, error, attempt) with { Index = index };
        await context.Errors.TakeAsync(failure, ct).ConfigureAwait(true);
        return false;
    }

    /// <summary>Holds the component until a person has mended a setting; not once more for what failed before it was let go on.</summary>
    /// <param name="error">Why.</param>
    /// <param name="events">Those it failed on; what of them nobody is to see is not told.</param>
    /// <param name="port">Their input.</param>
    /// <param name="releases">How often the component had been let go on then; null: until now.</param>
    /// <param name="ct">Gives up.</param>
    protected async ValueTask HoldAsync(Exception error, IEnumerable<Event<TIn>> events, int port, long? releases, CancellationToken ct)
    {
        context.FlushOutputs();
        if (releases is not { } then || context.Pause.Releases == then)
        {
            var why = events.Aggregate(error.Message, (text, e) => context.Clean(ItemFailure.Of(context.Plan.Name, component.Inputs[port], e, error, attempt: 1), text));
            context.Pause.Hold($"{ErrorClasses.CodeOf(error)}: {why}");
        }

        await context.Pause.WaitAsync(ct).ConfigureAwait(true);
    }

    private async ValueTask PassAsync(CheckpointBarrier barrier, CancellationToken ct)
    {
        try
        {
            await SettleAsync(BatchReason.Barrier, ct).ConfigureAwait(true);
        }
        catch (Exception e)
        {
            // The barrier has been taken, and what is in hand comes again behind it.
            context.Abandon(barrier, e);
            throw;
        }

        await context.PassAsync(barrier, async () =>
        {
            await FlushAsync(end: false, ct).ConfigureAwait(true);
            return await component.SnapshotAsync(ct).ConfigureAwait(true);
        }).ConfigureAwait(true);
    }

    private async ValueTask FlushAsync(bool end, CancellationToken ct)
    {
        var output = NewEmitter();
        await component.FlushAsync(end, output, ct).ConfigureAwait(true);
        await SendAsync(output, ct).ConfigureAwait(true);
    }

    private async ValueTask SendAsync(Emitter<TOut> output, CancellationToken ct)
    {
        context.Counters.CountEmitted(output.Count);
        await ReleaseAsync(output, 0, ct).ConfigureAwait(true);
    }

    private async ValueTask ReleaseEarlyAsync(Emitter<TOut> output, CancellationToken ct)
    {
        context.Counters.CountEmitted(output.Count);
        output.ReleasedEarly = true;
        await ReleaseAsync(output, 0, ct).ConfigureAwait(true);
        output.Passed();
    }
}
