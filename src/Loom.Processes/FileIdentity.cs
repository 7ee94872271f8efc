using System.Runtime.InteropServices;

namespace Loom.Processes;

/// <summary>Tells a file or folder from another that has taken its place under the same name.</summary>
/// <param name="Device">Where it lies.</param>
/// <param name="Inode">Its number there; given again once it is gone.</param>
/// <param name="Born">When it was made, in nanoseconds; 0 where the file system does not say.</param>
public readonly partial record struct FileIdentity(ulong Device, ulong Inode, long Born)
{
    /// <summary>Who is there now, behind any link; null = nobody, or nobody that may be seen.</summary>
    public static FileIdentity? Of(string path)
    {
        const int CurrentFolder = -100;
        const uint BirthKnown = 0x800;
        const uint InodeAndBirth = 0x100 | BirthKnown;
        if (StatX(CurrentFolder, path, 0, InodeAndBirth, out var found) != 0)
        {
            return null;
        }

        var born = (found.Mask & BirthKnown) == 0 ? 0 : (found.BornSeconds * 1_000_000_000) + found.BornNanoseconds;
        return new FileIdentity(((ulong)found.DeviceMajor << 32) | found.DeviceMinor, found.Inode, born);
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, out Found found);

    // struct statx, fixed by the kernel for every architecture: 256 bytes.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Found
    {
        [FieldOffset(0)]
        public uint Mask;

        [FieldOffset(32)]
        public ulong Inode;

        [FieldOffset(80)]
        public long BornSeconds;

        [FieldOffset(88)]
        public uint BornNanoseconds;

        [FieldOffset(136)]
        public uint DeviceMajor;

        [FieldOffset(140)]
        public uint DeviceMinor;
    }
}
