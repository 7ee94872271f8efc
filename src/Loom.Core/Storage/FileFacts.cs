using System.Runtime.InteropServices;

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
public readonly partial record struct FileFacts(FileKind Kind, uint Owner, long Bytes, ulong Inode, long ModifiedNs, long ChangedNs)
{
    /// <summary>Looks; null when there is nothing of that name, or nothing that may be seen.</summary>
    public static FileFacts? Of(string path)
    {
        const int CurrentFolder = -100;
        const int NoFollow = 0x100;
        const uint Basics = 0x7ff;
        if (StatX(CurrentFolder, path, NoFollow, Basics, out var found) != 0)
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
        return new FileFacts(kind, found.Uid, (long)found.Size, found.Inode, (found.ModifiedSeconds * 1_000_000_000) + found.ModifiedNanoseconds,
            (found.ChangedSeconds * 1_000_000_000) + found.ChangedNanoseconds);
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, out Found found);

    // struct statx, fixed by the kernel for every architecture: 256 bytes.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Found
    {
        [FieldOffset(20)]
        public uint Uid;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(96)]
        public long ChangedSeconds;

        [FieldOffset(104)]
        public uint ChangedNanoseconds;

        [FieldOffset(112)]
        public long ModifiedSeconds;

        [FieldOffset(120)]
        public uint ModifiedNanoseconds;
    }
}
