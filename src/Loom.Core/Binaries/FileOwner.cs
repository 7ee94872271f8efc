using System.Runtime.InteropServices;

namespace Loom.Core.Binaries;

/// <summary>Who owns a file; .NET tells modes, not owners.</summary>
internal static partial class FileOwner
{
    private const int AtFdCwd = -100;
    private const uint WantMode = 0x2 | 0x8; // STATX_MODE | STATX_UID

    /// <summary>Whether a folder belongs to this user or root and nobody else may write to it: only then is a program in it run unasked.</summary>
    public static bool IsTrusted(string folder)
    {
        if (StatX(AtFdCwd, folder, 0, WantMode, out var found) != 0)
        {
            return false;
        }

        const int GroupOrOthersWrite = 0x12; // 0022
        return (found.Uid == 0 || found.Uid == GetEffectiveUserId()) && (found.Mode & GroupOrOthersWrite) == 0;
    }

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, out Found found);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUserId();

    // struct statx, fixed by the kernel: 256 bytes, of which two fields are read.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Found
    {
        [FieldOffset(20)]
        public uint Uid;

        [FieldOffset(28)]
        public ushort Mode;
    }
}
