namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Which windows a time belongs to; pure.</summary>
internal static class WindowRules
{
    /// <summary>Start of the window of a size that holds a time.</summary>
    public static long Tumbling(long ticks, long size) => ticks - Modulo(ticks - DateTimeOffset.UnixEpoch.Ticks, size);

    /// <summary>Starts of all windows that hold a time, earliest first, one every so often.</summary>
    public static IEnumerable<long> Sliding(long ticks, long size, long every)
    {
        var last = Tumbling(ticks, every);
        var first = last - ((size - (ticks - last) - 1) / every * every);
        for (var start = first; start <= last; start += every)
        {
            yield return start;
        }
    }

    private static long Modulo(long value, long by) => ((value % by) + by) % by;
}
