using System.Runtime.InteropServices;

namespace Loom.Core.Storage;

/// <summary>What the kernel says of a file beyond what .NET tells.</summary>
/// <param name="Mode">Type and permissions, as in <c>st_mode</c>.</param>
/// <param name="Owner">User id of its owner.</param>
/// <param name="Bytes">Size.</param>
/// <param name="Device">Where it lies.</param>
/// <param name="Inode">Its number there; given again once it is gone.</param>
/// <param name="BornNs">When it was made, nanoseconds since 1970; 0 where the file system does not say.</param>
/// <param name="ModifiedNs">When its content was written last.</param>
/// <param name="ChangedNs">The same for content, name or mode; nobody can set it back.</param>
public readonly partial record struct FileStat(ushort Mode, uint Owner, long Bytes, ulong Device, ulong Inode, long BornNs, long ModifiedNs, long ChangedNs)
{
    private const int CurrentFolder = -100;
    private const int NoFollow = 0x100;
    private const uint BirthKnown = 0x800;
    private const uint BasicsAndBirth = 0x7FF | BirthKnown;

    /// <summary>Looks; null when there is nothing of that name, or nothing that may be seen.</summary>
    /// <param name="path">The name.</param>
    /// <param name="follow">Look at what a link leads to, not at the link.</param>
    public static FileStat? Of(string path, bool follow)
    {
        if (StatX(CurrentFolder, path, follow ? 0 : NoFollow, BasicsAndBirth, out var found) != 0)
        {
            return null;
        }

        return new FileStat(
            found.Mode,
            found.Uid,
            (long)found.Size,
            ((ulong)found.DeviceMajor << 32) | found.DeviceMinor,
            found.Inode,
            (found.Mask & BirthKnown) == 0 ? 0 : found.Born.Nanoseconds,
            found.Modified.Nanoseconds,
            found.Changed.Nanoseconds);
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, out Found found);

    // struct statx_timestamp: 16 bytes.
    [StructLayout(LayoutKind.Explicit, Size = 16)]
    private struct Moment
    {
        [FieldOffset(0)]
        public long Seconds;

        [FieldOffset(8)]
        public uint Fraction;

        public readonly long Nanoseconds => (Seconds * 1_000_000_000) + Fraction;
    }

    // struct statx, fixed by the kernel for every architecture: 256 bytes.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Found
    {
        [FieldOffset(0)]
        public uint Mask;

        [FieldOffset(20)]
        public uint Uid;

        [FieldOffset(28)]
        public ushort Mode;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(40)]
        public ulong Size;

        [FieldOffset(80)]
        public Moment Born;

        [FieldOffset(96)]
        public Moment Changed;

        [FieldOffset(112)]
        public Moment Modified;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
