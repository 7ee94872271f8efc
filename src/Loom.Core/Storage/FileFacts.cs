namespace Loom.Core.Storage;

/// <summary>What a name in a folder is.</summary>
public enum FileKind
{
    Regular,
    Folder,
    Link,
    Other,
}

/// <summary>What the kernel says of one name, of the name itself and not of what a link leads to. Two that are equal are the same file, unwritten in between.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Owner">User id of its owner.</param>
/// <param name="Bytes">Size.</param>
/// <param name="Inode">Its number on its disk.</param>
/// <param name="ModifiedNs">When its content was written last, nanoseconds since 1970.</param>
/// <param name="ChangedNs">The same for content, name or mode; nobody can set it back.</param>
public readonly record struct FileFacts(FileKind Kind, uint Owner, long Bytes, ulong Inode, long ModifiedNs, long ChangedNs)
{
    /// <summary>Looks; null when there is nothing of that name, or nothing that may be seen.</summary>
    public static FileFacts? Of(string path)
    {
        if (FileStat.Of(path, follow: false) is not { } found)
        {
            return null;
        }

        const int TypeMask = 0xF000;
        var kind = (found.Mode & TypeMask) switch
        {
            0x8000 => FileKind.Regular,
            0x4000 => FileKind.Folder,
            0xA000 => FileKind.Link,
            _ => FileKind.Other,
        };
        return new FileFacts(kind, found.Owner, found.Bytes, found.Inode, found.ModifiedNs, found.ChangedNs);
    }
}
