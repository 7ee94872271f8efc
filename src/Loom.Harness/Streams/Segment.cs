using Loom.Components;

namespace Loom.Harness.Streams;

/// <summary>A run of slots of a stream; segments form a chain from the oldest event to the newest.</summary>
internal sealed class Segment<T>(int size)
{
    /// <summary>Slots of a segment: what fits 4 KiB for a payload of one reference.</summary>
    public const int Largest = 64;

    public readonly Event<T>[] Slots = new Event<T>[size];

    public Segment<T>? Next;

    // When its first event came, for ages; Stopwatch ticks.
    public long Since;

    /// <summary>Lets go of the payloads from a slot on, and of the chain.</summary>
    public void Clear(int from)
    {
        Array.Clear(Slots, from, Slots.Length - from);
        Next = null;
    }
}

/// <summary>
/// Segments of the largest size that are not in use, shared by all streams of a payload type, so an idle stream holds almost nothing. Each thread keeps a few to itself,
/// and gives to and takes from the others in lots: a component in the middle of a line takes for its output what it has just emptied of its input.
/// </summary>
internal static class SegmentPool<T>
{
    private const int Lot = 8;
    private const int Kept = 1024;

    private static readonly Lock s_lock = new();
    private static readonly Stack<Segment<T>> s_shared = [];

    [ThreadStatic]
    private static Stack<Segment<T>>? t_own;

    public static Segment<T> Rent()
    {
        var own = t_own ??= new Stack<Segment<T>>(2 * Lot);
        if (own.Count == 0)
        {
            lock (s_lock)
            {
                Move(s_shared, own);
            }
        }

        return own.TryPop(out var segment) ? segment : new Segment<T>(Segment<T>.Largest);
    }

    public static void Return(Segment<T> segment)
    {
        var own = t_own ??= new Stack<Segment<T>>(2 * Lot);
        if (own.Count == 2 * Lot)
        {
            lock (s_lock)
            {
                if (s_shared.Count < Kept)
                {
                    Move(own, s_shared);
                }
            }
        }

        if (own.Count < 2 * Lot)
        {
            own.Push(segment);
        }
    }

    /// <summary>Lets go of what is shared and of this thread's own.</summary>
    public static void Trim()
    {
        t_own = null;
        lock (s_lock)
        {
            s_shared.Clear();
            s_shared.TrimExcess();
        }
    }

    private static void Move(Stack<Segment<T>> from, Stack<Segment<T>> to)
    {
        for (var i = 0; i < Lot && from.TryPop(out var segment); i++)
        {
            to.Push(segment);
        }
    }
}
