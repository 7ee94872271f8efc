using System.Collections.Concurrent;
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

/// <summary>Segments of the largest size that are not in use, shared by all streams of a payload type, so an idle stream holds almost nothing.</summary>
internal static class SegmentPool<T>
{
    private const int Kept = 1024;

    private static readonly ConcurrentQueue<Segment<T>> s_free = new();

    public static Segment<T> Rent() => s_free.TryDequeue(out var segment) ? segment : new Segment<T>(Segment<T>.Largest);

    public static void Return(Segment<T> segment)
    {
        if (s_free.Count < Kept)
        {
            s_free.Enqueue(segment);
        }
    }
}
