namespace Loom.Harness.Streams;

/// <summary>How a stream stands at one moment.</summary>
/// <param name="Name">Its binding's name.</param>
/// <param name="From"><c>component.port</c>.</param>
/// <param name="To"><c>component.port</c>.</param>
/// <param name="Depth">Events in it, those on disk included.</param>
/// <param name="Capacity">Events it may hold in memory.</param>
/// <param name="Bytes">Bytes in it, where payloads have a known size.</param>
/// <param name="In">Events written since the start.</param>
/// <param name="Out">Events read since the start.</param>
/// <param name="Dropped">Events that overflow or age declared lost.</param>
/// <param name="OldestAge">Age of the oldest event in it, to within one segment; zero when empty.</param>
/// <param name="LastProgress">Time since an event was last read, to within one segment.</param>
/// <param name="Blocked">Time its writer has waited for room.</param>
/// <param name="Starved">Time its reader has waited for an event.</param>
/// <param name="Ended">Whether the writer has ended.</param>
internal sealed record StreamSnapshot(
    string Name,
    string From,
    string To,
    long Depth,
    long Capacity,
    long Bytes,
    long In,
    long Out,
    long Dropped,
    TimeSpan OldestAge,
    TimeSpan LastProgress,
    TimeSpan Blocked,
    TimeSpan Starved,
    bool Ended)
{
    /// <summary>Events of <see cref="Depth"/> that wait on disk.</summary>
    public long Spilled { get; init; }

    /// <summary>What keeps the stream from doing its work, such as a full disk; null when it is well.</summary>
    public string? Trouble { get; init; }
}
