using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;
using Loom.Harness.Streams;

namespace Loom.Harness.Control;

/// <summary>
/// A binding to a control port: an operation is carried out when it is sent, beside the component's data, so that a component that is held up still hears it. What is refused goes to the dead
/// letter of the component it was meant for. Barriers and the end mean nothing here.
/// </summary>
internal sealed class ControlTarget<T>(BindingPlan binding, ComponentControls controls, Func<Event<T>, Event<JsonElement>> convert, Func<IErrorDestination> errors, TimeProvider time) : Target<T>, IStreamEnd
{
    private readonly Queue<Event<JsonElement>> _prepared = [];
    private readonly StreamClock _clock = new(time);
    private volatile StreamTap<JsonElement>[] _taps = [];
    private ItemFailure? _refused;
    private long _sent;
    private volatile bool _completed;

    public override BindingPlan Plan => binding;

    public override IStreamEnd End => this;

    public override bool HasPrepared => _prepared.Count > 0;

    public override void Prepare(in Event<T> e) => _prepared.Enqueue(convert(e));

    public override bool TryWrite()
    {
        var e = _prepared.Peek();
        if (_refused is null)
        {
            try
            {
                var operation = ControlOperation.Read(e.Data);
                if (operation.Component is null || operation.Component == binding.ToComponent)
                {
                    controls.Apply(operation, $"{binding.FromComponent}.{binding.FromPort}");
                }
            }
            catch (ItemException error)
            {
                // Taken to the dead letter by the wait that follows.
                _refused = ItemFailure.Of(binding.ToComponent, binding.ToPort, e, error, 1);
                return false;
            }
        }

        _refused = null;
        _prepared.Dequeue();
        Interlocked.Increment(ref _sent);
        _clock.Progress();
        foreach (var tap in _taps)
        {
            tap.Offer(e);
        }

        return true;
    }

    public override ValueTask WaitForRoomAsync(CancellationToken ct) => _refused is { } refused ? errors().TakeAsync(refused, ct) : default;

    public override void Discard() => _prepared.Clear();

    StreamSnapshot IStreamEnd.Snapshot()
    {
        var sent = Interlocked.Read(ref _sent);
        return _clock.Snapshot(binding, null) with { Capacity = 1, In = sent, Out = sent, Ended = _completed };
    }

    void IStreamEnd.Complete() => _completed = true;

    void IStreamEnd.Mark(CheckpointBarrier barrier)
    {
    }

    void IStreamEnd.Flush()
    {
    }

    IStreamTap IStreamEnd.Tap(int sample)
    {
        var tap = new StreamTap<JsonElement>(sample, time, left => _taps = [.. _taps.Where(t => t != left)]);
        _taps = [.. _taps, tap];
        return tap;
    }
}
