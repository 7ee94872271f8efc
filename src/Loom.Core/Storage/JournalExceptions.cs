namespace Loom.Core.Storage;

/// <summary>Nothing more can be stored: the disk or a quota is full, or the largest size of a file is reached.</summary>
public sealed class DiskFullException(string message, IOException? inner = null) : IOException(message, inner)
{
    private const int FileTooLarge = 27;
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    /// <summary>Whether an error of the system means this.</summary>
    public static bool Is(IOException error) => error is DiskFullException || error.HResult is FileTooLarge or NoSpace or QuotaExceeded;
}

/// <summary>A record of a journal was changed, moved or removed after it had been written.</summary>
/// <param name="path">The journal.</param>
/// <param name="report">Where the chain breaks, and what is good before that.</param>
public sealed class JournalBrokenException(string path, JournalReport report)
    : IOException($"journal '{path}' is broken at byte {report.BrokenAt}, line {report.BrokenLine}: that record does not follow from the {report.Records} before it; "
        + "somebody changed the file, or the disk did. Move it away to go on without what follows")
{
    /// <summary>Where the chain breaks.</summary>
    public JournalReport Report { get; } = report;
}
