namespace Loom.Harness.Streams;

/// <summary>What the writer of a stream keeps to itself; times are Stopwatch ticks.</summary>
internal struct WriterSide<T>
{
    public Segment<T>? Tail;
    public int Index;
    public long Written;
    public long ConsumedSeen;
    public long BytesIn;
    public long BlockedSince;
    public long BlockedWith; // bytes of the event it waits with and one more; 0 = it does not wait
    public long BlockedTicks;
    public long Dropped;
#pragma warning disable CS0169 // room is all it is for
    private Gap _gap;
#pragma warning restore CS0169
}

/// <summary>What the reader of a stream keeps to itself; times are Stopwatch ticks.</summary>
internal struct ReaderSide<T>
{
    public Segment<T>? Head;
    public int Index;
    public int Cleared;
    public long Read;
    public long Readable;
    public long Seen;
    public long WakeAt;
    public long BytesOut;
    public long StarvedSince;
    public long StarvedTicks;
    public long ProgressAt;
}
