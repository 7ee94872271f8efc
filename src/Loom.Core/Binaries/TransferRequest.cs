namespace Loom.Core.Binaries;

/// <summary>One file to fetch.</summary>
/// <param name="Url">Where from, http or https; https is never redirected to http.</param>
/// <param name="Target">Absolute path it ends at; its folder must exist. <c>Target.part</c> holds what has arrived.</param>
public sealed record TransferRequest(Uri Url, string Target)
{
    /// <summary>Checksum the file must have, 64 hex digits of any case.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Size the file must have, bytes; null = what the server says.</summary>
    public long? Bytes { get; init; }

    /// <summary>Fetch although no checksum is known; the result says so. Default false.</summary>
    public bool AllowUnverified { get; init; }

    /// <summary>Permissions of the file. Default 0644.</summary>
    public UnixFileMode Mode { get; init; } = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead;
}

/// <summary>A file that has arrived.</summary>
/// <param name="Sha256">Checksum of what lies on disk, lower-case hex.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Verified">Whether the checksum was known beforehand.</param>
public sealed record TransferResult(string Sha256, long Bytes, bool Verified);

/// <summary>How far a transfer is.</summary>
/// <param name="Phase"><c>download</c> or <c>verify</c>.</param>
/// <param name="BytesDone">Bytes on disk.</param>
/// <param name="BytesTotal">Size of the whole; null = not said.</param>
/// <param name="Note">Something worth telling: a resume, a restart, a pause before the next attempt. Null = plain progress.</param>
public readonly record struct TransferProgress(string Phase, long BytesDone, long? BytesTotal, string? Note);

/// <summary>Why a file could not be fetched.</summary>
public enum TransferFault
{
    /// <summary>The server does not have it.</summary>
    NotFound,

    /// <summary>It is not what it should be: checksum, size, or a web page.</summary>
    Wrong,

    /// <summary>No checksum is known, or the network must not be touched, or https would become http.</summary>
    Refused,

    /// <summary>The network or the server failed in every attempt.</summary>
    Unreachable,

    /// <summary>No room for it.</summary>
    DiskFull,
}

/// <summary>A file could not be fetched; the message says what was asked, what was found and what to do.</summary>
public sealed class TransferException(TransferFault fault, string message, Exception? cause = null) : IOException(message, cause)
{
    public TransferFault Fault { get; } = fault;
}
