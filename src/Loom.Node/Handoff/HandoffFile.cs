using Loom.Core.Storage;
using Loom.Wire;

namespace Loom.Node.Handoff;

/// <summary>What is remembered of one file while it lies there. Immutable; made anew by each scan that changes it.</summary>
public sealed record HandoffFile
{
    /// <summary>The file as it was when it was looked at last.</summary>
    public required FileFacts Facts { get; init; }

    /// <summary>Checksum of what was read last; null = nothing was.</summary>
    public string? Sha256 { get; init; }

    /// <summary>What was taken over of it; null = nothing yet.</summary>
    public HandoffDocument? Taken { get; init; }

    /// <summary>Scans in a row in which this content could not be read.</summary>
    public int BadScans { get; init; }

    /// <summary>Timestamp of the first of them.</summary>
    public long BadSince { get; init; }

    /// <summary>It was refused and could not be put away; told once.</summary>
    public bool Refused { get; init; }

    /// <summary>Whether the content must be read: the file is new, was touched, or could not be read before.</summary>
    public static bool MustRead(HandoffFile? known, FileFacts now) => known is null || known.BadScans > 0 || (known.Facts != now);

    /// <summary>The file after content that could not be read: new content starts the patience anew.</summary>
    /// <param name="known">What was known; null = nothing.</param>
    /// <param name="facts">The file now.</param>
    /// <param name="sha256">Its content now.</param>
    /// <param name="now">Timestamp.</param>
    public static HandoffFile Bad(HandoffFile? known, FileFacts facts, string sha256, long now)
    {
        var same = known is { BadScans: > 0 } && known.Sha256 == sha256;
        return new HandoffFile { Facts = facts, Sha256 = sha256, BadScans = same ? known!.BadScans + 1 : 1, BadSince = same ? known!.BadSince : now };
    }

    /// <summary>Whether it has been unreadable often and long enough.</summary>
    /// <param name="badFor">Time since <see cref="BadSince"/>.</param>
    public bool PatienceIsOver(TimeSpan badFor) => BadScans >= HandoffPolicy.PatienceScans && badFor >= HandoffPolicy.PatienceTime;
}
