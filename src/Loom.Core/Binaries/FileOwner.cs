using System.Runtime.InteropServices;
using Loom.Core.Storage;

namespace Loom.Core.Binaries;

/// <summary>Who owns a file; .NET tells modes, not owners.</summary>
internal static partial class FileOwner
{
    /// <summary>
    /// Whether a file or folder belongs to this user or root and nobody else may write to it: only then is a program in it run unasked. Where it is a link,
    /// the link belongs to them too.
    /// </summary>
    public static bool IsTrusted(string path)
    {
        const int GroupOrOthersWrite = 0x12; // 0022
        return FileStat.Of(path, follow: false) is { } itself && IsOurs(itself.Owner)
            && FileStat.Of(path, follow: true) is { } target && IsOurs(target.Owner) && (target.Mode & GroupOrOthersWrite) == 0;
    }

    private static bool IsOurs(uint user) => user == 0 || user == GetEffectiveUserId();

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetEffectiveUserId();
}
