using Loom.Core.Storage;

namespace Loom.Processes;

/// <summary>Tells a file or folder from another that has taken its place under the same name.</summary>
/// <param name="Device">Where it lies.</param>
/// <param name="Inode">Its number there; given again once it is gone.</param>
/// <param name="Born">When it was made, in nanoseconds; 0 where the file system does not say.</param>
public readonly record struct FileIdentity(ulong Device, ulong Inode, long Born)
{
    /// <summary>Who is there now, behind any link; null = nobody, or nobody that may be seen.</summary>
    public static FileIdentity? Of(string path) => FileStat.Of(path, follow: true) is { } found ? new FileIdentity(found.Device, found.Inode, found.BornNs) : null;
}
