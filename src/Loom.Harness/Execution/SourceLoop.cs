using System.Runtime.CompilerServices;
using Loom.Components;
using Loom.Harness.Errors;
using Loom.Harness.Streams;
using Loom.Harness.Telemetry;

namespace Loom.Harness.Execution;

/// <summary>The loop of a source: reads, gives ids, remembers where each partition stands, and lets barriers in between two reads.</summary>
internal sealed class SourceLoop<T>(LoopContext context, Source<T> source)
{
    // Events read between two looks at the clock.
    private const int RunLength = 64;

    private readonly OutputPort<T> _output = context.DataOutputs<T>(["out"])[0];
    private Task<Read<T>>? _reading;
    private Event<T> _unsent;
    private ItemException? _refused;
    private int _untilTraced;
    private DateTimeOffset _now;
    private string? _partition;
    private string _origin = "";
    private long _next;

    private enum Stop
    {
        Attention,
        Read,
        Room,
        Refused,
        Hold,
        End,
    }

    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            await ReadAllAsync(ct).ConfigureAwait(true);
        }
        finally
        {
            // Also for the instance that takes over after a failure, and for readers meanwhile.
            Note();
            context.FlushOutputs();
        }

        context.Checkpoints.Ended(context.Plan.Name, context.Offsets, await source.SnapshotAsync(ct).ConfigureAwait(true));
    }

    private async Task ReadAllAsync(CancellationToken ct)
    {
        await using var cancel = ct.UnsafeRegister(static c => ((LoopContext)c!).Wake(), context);
        await using var stop = context.Stopping.UnsafeRegister(static c => ((LoopContext)c!).Wake(), context);
        var ended = false;
        while (!ended)
        {
            if (context.Gate.HasInterrupt)
            {
                await AttendAsync(ct).ConfigureAwait(true);
            }

            if (context.Stopping.IsCancellationRequested)
            {
                break;
            }

            switch (ReadSync(ct))
            {
                case Stop.Read when !await FinishReadAsync(ct).ConfigureAwait(true):
                case Stop.End:
                    ended = true;
                    break;
                case Stop.Room:
                    context.FlushOutputs();
                    await SendSlowAsync(_unsent, ct).ConfigureAwait(true);
                    break;
                case Stop.Hold:
                    // The end of the checkpoint, its barrier, or a stop.
                    context.FlushOutputs();
                    await context.Gate.WaitForInterruptAsync(ct).ConfigureAwait(true);
                    break;
                case Stop.Refused:
                    context.FlushOutputs();
                    await RefuseAsync(_unsent, _refused!, ct).ConfigureAwait(true);
                    break;
            }
        }
    }

    // Reads and sends while nothing has to be waited for.
    private Stop ReadSync(CancellationToken ct)
    {
        _now = context.Time.GetUtcNow();
        var sent = 0;
        try
        {
            return ReadRun(ref sent, ct);
        }
        finally
        {
            context.Counters.CountTaken(sent);
            context.Counters.CountDone(sent, sent);
        }
    }

    // Not within the loop that awaits, whose locals lie on the heap: there each copy of an event would pay for three write barriers.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Stop ReadRun(ref int sent, CancellationToken ct)
    {
        var gate = context.Gate;
        var checkpoints = context.Checkpoints.IsBounded ? context.Checkpoints : null;
        var traced = Tracing.IsOn;
        while (sent < RunLength)
        {
            if (gate.HasInterrupt)
            {
                return Stop.Attention;
            }

            if (checkpoints is { MustHold: true })
            {
                return Stop.Hold;
            }

            var reading = source.ReadAsync(context.Stopping, ct);
            if (!reading.IsCompletedSuccessfully)
            {
                _reading = reading.AsTask();
                return Stop.Read;
            }

            var read = reading.Result;
            if (read.IsEnd)
            {
                return Stop.End;
            }

            var e = Take(read);
            if (traced)
            {
                e = Sample(e);
            }

            if (read.Error is not null)
            {
                _unsent = e;
                _refused = read.Error;
                return Stop.Refused;
            }

            if (!_output.TrySend(e))
            {
                _unsent = e;
                return Stop.Room;
            }

            sent++;
            checkpoints?.CountSent();
        }

        context.FlushOutputs();
        return Stop.Attention;
    }

    private void Count()
    {
        context.Counters.CountTaken();
        context.Counters.CountDone(1);
        context.Checkpoints.CountSent();
    }

    // A rule of the output port may refuse the event: that is an error of this event, not of the source.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendSlowAsync(Event<T> e, CancellationToken ct)
    {
        if (context.Lane is { } lane)
        {
            await lane.TurnAsync(() => new Scheduling.Turn(context.Plan.Name, "out", e.Id, e.Data, 1)).ConfigureAwait(true);
        }

        try
        {
            await _output.SendSlowAsync(e, ct).ConfigureAwait(true);
            Count();
        }
        catch (ItemException error)
        {
            await RefuseAsync(e, error, ct).ConfigureAwait(true);
        }
    }

    // False at the end of the data, and when a stop ended the wait.
    private async ValueTask<bool> FinishReadAsync(CancellationToken ct)
    {
        context.FlushOutputs();
        Read<T> read;
        try
        {
            read = await WaitAsync(_reading!, ct).ConfigureAwait(true);
        }
        catch (OperationCanceledException) when (context.Stopping.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            return false;
        }

        if (read.IsEnd)
        {
            return false;
        }

        _now = context.Time.GetUtcNow();
        var e = Take(read);
        if (Tracing.IsOn)
        {
            e = Sample(e);
        }

        if (read.Error is not null)
        {
            await RefuseAsync(e, read.Error, ct).ConfigureAwait(true);
        }
        else if (_output.TrySend(e))
        {
            Count();
        }
        else
        {
            await SendSlowAsync(e, ct).ConfigureAwait(true);
        }

        return true;
    }

    private Event<T> Take(in Read<T> read)
    {
        if (!ReferenceEquals(read.Partition, _partition))
        {
            Note();
            _partition = read.Partition;
            _origin = $"{context.Plan.Name}:{read.Partition}";
        }

        _next = read.Next;
        if (read.Acknowledge is { } acknowledge)
        {
            context.Acknowledgements.Add(acknowledge);
            context.Checkpoints.WantConfirmed(now: false);
        }

        var time = read.Time == default ? _now : read.Time;
        return new Event<T>(EventId.Root(_origin, read.Offset), read.Data, read.Key, time, read.Mock);
    }

    // One event in so many; where nobody listens it costs nothing.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Event<T> Sample(in Event<T> e)
    {
        if (--_untilTraced > 0)
        {
            return e;
        }

        _untilTraced = context.TraceSample;
        return Tracing.Begin(context.Plan.Name, e);
    }

    private async ValueTask RefuseAsync(Event<T> e, ItemException error, CancellationToken ct)
    {
        context.Counters.CountTaken();
        await context.Errors.TakeAsync(ItemFailure.Of(context.Plan.Name, "out", e, error, attempt: 1), ct).ConfigureAwait(true);
        context.Counters.CountFailed();
    }

    private void Note()
    {
        if (_partition is not null)
        {
            context.Offsets[_partition] = _next;
        }
    }

    // While a read is pending the loop still looks up, so that a quiet source holds no checkpoint back.
    private async ValueTask<Read<T>> WaitAsync(Task<Read<T>> reading, CancellationToken ct)
    {
        var signal = context.Gate.Signal;
        reading.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(context.Lane is null ? signal.Set : Apart(context.Lane, signal));
        while (!reading.IsCompleted)
        {
            signal.Arm();
            if (!reading.IsCompleted && !context.Gate.HasInterrupt)
            {
                await signal.WaitAsync().ConfigureAwait(true);
            }
            else if (!signal.Disarm())
            {
                await signal.WaitAsync().ConfigureAwait(true);
            }

            if (context.Gate.HasInterrupt && !reading.IsCompleted)
            {
                if (ct.IsCancellationRequested || context.Stopping.IsCancellationRequested)
                {
                    context.Gate.TakeInterrupt();
                    break;
                }

                await AttendAsync(ct).ConfigureAwait(true);
            }
        }

        // A stop was asked: the source gives what it has, or the end.
        return await reading.WaitAsync(ct).ConfigureAwait(true);
    }

    // A pending read is another thing the component does, beside its loop.
    private static Action Apart(Scheduling.Lane lane, Signal signal)
    {
        lane.BeginFlow();
        return () =>
        {
            signal.Set();
            lane.EndFlow();
        };
    }

    private async ValueTask AttendAsync(CancellationToken ct)
    {
        context.Gate.TakeInterrupt();
        ct.ThrowIfCancellationRequested();
        context.FlushOutputs();
        var attention = context.TakeAttention();
        if (attention.HasFlag(Attention.Barrier) && context.WantedBarrier is { } barrier)
        {
            Note();
            await context.PassAsync(barrier, async () =>
            {
                var state = await source.SnapshotAsync(ct).ConfigureAwait(true);
                context.Acknowledgements.Mark(barrier);
                return state;
            }).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Commit) && context.CommittedBarrier is { } committed)
        {
            await context.Acknowledgements.TellAsync(committed, ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Config))
        {
            await context.Reconfigure(ct).ConfigureAwait(true);
        }

        if (attention.HasFlag(Attention.Pause))
        {
            context.FlushOutputs();
            await context.Pause.WaitAsync(ct).ConfigureAwait(true);
        }
    }
}
