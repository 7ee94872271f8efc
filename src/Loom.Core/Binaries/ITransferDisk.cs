namespace Loom.Core.Binaries;

/// <summary>The disk as transfers see it; tests bring one that is full.</summary>
public interface ITransferDisk
{
    /// <summary>Bytes a file in this folder may still take.</summary>
    long FreeBytes(string folder);

    /// <summary>Opens a file for writing at its end, or empties it first.</summary>
    FileStream Open(string path, bool append, UnixFileMode mode);
}

/// <summary>The real disk.</summary>
public sealed class TransferDisk : ITransferDisk
{
    public long FreeBytes(string folder) => new DriveInfo(folder).AvailableFreeSpace;

    public FileStream Open(string path, bool append, UnixFileMode mode) => new(path, new FileStreamOptions
    {
        Mode = append ? FileMode.Append : FileMode.Create,
        Access = FileAccess.Write,
        Share = FileShare.Read,
        UnixCreateMode = mode,
        BufferSize = 0,
        Options = FileOptions.Asynchronous,
    });

    /// <summary>Whether an error means that the disk or a quota is full (ENOSPC, EDQUOT).</summary>
    public static bool IsFull(IOException error) => error.HResult is 28 or 122;
}
