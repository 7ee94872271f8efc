using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Streams;

/// <summary>One binding as its writer sees it: the stream, and what becomes of a payload on its way in.</summary>
internal abstract class Target<T>
{
    public abstract BindingPlan Plan { get; }

    public abstract IStreamEnd End { get; }

    /// <summary>Makes the event as this binding carries it; what is made is written by the next <see cref="TryWrite"/>.</summary>
    /// <exception cref="ItemException">The conversion or transformation failed.</exception>
    public abstract void Prepare(in Event<T> e);

    /// <summary>Writes the oldest prepared event; false when the stream is full. An event that fails is prepared no longer.</summary>
    /// <exception cref="ItemException">The stream cannot take the event, now or later.</exception>
    public abstract bool TryWrite();

    /// <summary>Waits until the oldest prepared event fits.</summary>
    public abstract ValueTask WaitForRoomAsync(CancellationToken ct);

    /// <summary>Forgets what is prepared.</summary>
    public abstract void Discard();

    public abstract bool HasPrepared { get; }
}

/// <summary>A binding whose stream carries <typeparamref name="TStream"/>; <paramref name="convert"/> makes its events.</summary>
internal abstract class Target<T, TStream>(IStreamTail<TStream> stream, Func<Event<T>, Event<TStream>> convert) : Target<T>
{
    private readonly Queue<Event<TStream>> _prepared = [];

    public override BindingPlan Plan => stream.Plan;

    public override IStreamEnd End => stream;

    public override bool HasPrepared => _prepared.Count > 0;

    protected Event<TStream> Oldest => _prepared.Peek();

    public override void Prepare(in Event<T> e) => _prepared.Enqueue(convert(e));

    public override bool TryWrite()
    {
        bool written;
        try
        {
            written = stream.TryWrite(_prepared.Peek());
        }
        catch
        {
            // Left in its place, it would fail again for every event behind it.
            Drop();
            throw;
        }

        if (written)
        {
            _prepared.Dequeue();
        }

        return written;
    }

    public override void Discard() => _prepared.Clear();

    /// <summary>The oldest prepared event does not reach the stream; it is counted.</summary>
    protected void Drop()
    {
        _prepared.Dequeue();
        stream.CountDropped();
    }
}

/// <summary>A binding that makes its writer wait, or drops, as its <c>overflow</c> says.</summary>
internal sealed class StreamTarget<T, TStream>(IStreamTail<TStream> stream, Func<Event<T>, Event<TStream>> convert) : Target<T, TStream>(stream, convert)
{
    private readonly IStreamTail<TStream> _stream = stream;

    public override bool TryWrite()
    {
        if (base.TryWrite())
        {
            return true;
        }

        if (Plan.Overflow is not (OverflowRule.DropNewest or OverflowRule.Fail))
        {
            return false;
        }

        // Never silently: what does not fit is counted and goes to the error destination of the sending component.
        Drop();
        var rule = Plan.Overflow == OverflowRule.DropNewest ? "drop_newest" : "fail";
        throw new ItemException("overflow", $"stream \"{Plan.Name}\" is full ({Plan.Buffer} events) and its overflow is {rule}");
    }

    public override ValueTask WaitForRoomAsync(CancellationToken ct) => _stream.WaitForRoomAsync(Oldest, ct);
}
