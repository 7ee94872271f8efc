using System.Runtime.InteropServices;

namespace Loom.Core.Binaries;

/// <summary>Who owns a file; .NET tells modes, not owners.</summary>
internal static partial class FileOwner
{
    private const int AtFdCwd = -100;
    private const int NoFollow = 0x100;
    private const uint WantMode = 0x2 | 0x8; // STATX_MODE | STATX_UID

    /// <summary>
    /// Whether a file or folder belongs to this user or root and nobody else may write to it: only then is a program in it run unasked. Where it is a link,
    /// the link belongs to them too.
    /// </summary>
    public static bool IsTrusted(string path)
    {
        const int GroupOrOthersWrite = 0x12; // 0022
        return StatX(AtFdCwd, path, NoFollow, WantMode, out var itself) == 0 && IsOurs(itself.Uid)
            && StatX(AtFdCwd, path, 0, WantMode, out var target) == 0 && IsOurs(target.Uid) && (target.Mode & GroupOrOthersWrite) == 0;
    }

    private static bool IsOurs(uint user) => user == 0 || user == GetEffectiveUserId();

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
