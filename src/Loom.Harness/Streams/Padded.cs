using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Loom.Harness.Streams;

/// <summary>A count on a cache line of its own, and away from the neighbour the processor fetches with it: two sides that publish counts do not slow each other down.</summary>
[StructLayout(LayoutKind.Explicit, Size = 128)]
internal struct Padded
{
    [FieldOffset(64)]
    public long Value;
}

/// <summary>Room that keeps what lies before it and what lies behind it from sharing a cache line.</summary>
[InlineArray(16)]
internal struct Gap
{
    private long _first;
}
