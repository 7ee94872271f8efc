using System.Runtime.CompilerServices;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;

namespace Loom.Harness.Streams;

/// <summary>One output port, whatever it carries.</summary>
internal interface IOutputPort
{
    PortPlan Plan { get; }

    /// <summary>Events sent while nothing is bound.</summary>
    long Unbound { get; }

    void Flush();

    void Complete();

    void Mark(CheckpointBarrier barrier);

    /// <summary>Shows every event that is sent, before it is written; said before the first one.</summary>
    void Watch(Action<Event<JsonElement>> see);
}

/// <summary>One output port: the streams bound to it, by its distribution. One caller at a time.</summary>
internal sealed class OutputPort<T>(PortPlan plan, IRoute<T> route) : IOutputPort
{
    private readonly List<Target<T>> _targets = [];

    // The common case: one stream of the same type, every event goes there.
    private EventStream<T>? _only;
    private IStreamEnd[] _ends = [];
    private long _unbound;
    private Action<Event<JsonElement>>? _watch;

    public PortPlan Plan => plan;

    /// <summary>Called before it waits for room: whoever writes to several streams shows all of them what it has written first.</summary>
    public Action BeforeWait { get; init; } = static () => { };

    public long Unbound => Volatile.Read(ref _unbound);

    public IReadOnlyList<Target<T>> Targets => _targets;

    /// <param name="target">The binding.</param>
    /// <param name="direct">Its stream when the event goes in as it is and the port has no rule to ask; else null.</param>
    public void Add(Target<T> target, EventStream<T>? direct)
    {
        _targets.Add(target);
        _ends = [.. _ends, target.End];
        _only = _targets.Count == 1 ? direct : null;
    }

    /// <summary>Sends one event without waiting; false when it must be sent by <see cref="SendSlowAsync"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TrySend(in Event<T> e) => _only is { } only && only.TryWrite(e);

    /// <summary>Sends events in order without waiting and says how many; the rest must be sent by <see cref="SendSlowAsync"/>.</summary>
    public int Send(ReadOnlySpan<Event<T>> events) => _only?.Write(events) ?? 0;

    /// <summary>Sends one event to every stream it belongs to; waits for room.</summary>
    /// <exception cref="ItemException">A rule, conversion or transformation failed; nothing was written.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendSlowAsync(Event<T> e, CancellationToken ct)
    {
        if (_only is { } only)
        {
            while (!only.TryWrite(e))
            {
                BeforeWait();
                await only.WaitForRoomAsync(e, ct).ConfigureAwait(true);
            }

            return;
        }

        if (_targets.Count == 0)
        {
            _watch?.Invoke(e.With(PayloadJson.Of(e.Data)));
            _unbound++;
            return;
        }

        Prepare(e);
        _watch?.Invoke(e.With(PayloadJson.Of(e.Data)));
        ItemException? overflow = null;
        foreach (var target in _targets)
        {
            // A stream that drops does not keep the event from the others.
            try
            {
                while (target.HasPrepared && !target.TryWrite())
                {
                    BeforeWait();
                    await target.WaitForRoomAsync(ct).ConfigureAwait(true);
                }
            }
            catch (ItemException dropped)
            {
                overflow ??= dropped;
            }
        }

        if (overflow is not null)
        {
            throw overflow;
        }
    }

    public void Flush()
    {
        foreach (var end in _ends)
        {
            end.Flush();
        }
    }

    public void Complete()
    {
        foreach (var end in _ends)
        {
            end.Complete();
        }
    }

    public void Mark(CheckpointBarrier barrier)
    {
        foreach (var end in _ends)
        {
            end.Mark(barrier);
        }
    }

    public void Watch(Action<Event<JsonElement>> see)
    {
        _watch = see;
        _only = null; // every event takes the way on which it is seen
    }

    // All bindings are asked before anything is written, so an event that fails leaves no half behind.
    private void Prepare(in Event<T> e)
    {
        try
        {
            route.Choose(e, _targets);
        }
        catch
        {
            foreach (var target in _targets)
            {
                target.Discard();
            }

            throw;
        }
    }
}
