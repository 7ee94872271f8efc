using System.Runtime.InteropServices;

namespace Loom.Core.Storage;

/// <summary>A folder that only its user may enter. Refused where somebody else could have put it there.</summary>
public static unsafe partial class PrivateFolder
{
    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>The effective user of this process.</summary>
    public static uint User => EffectiveUser();

    /// <summary>Creates the folder with mode 0700, or checks the one that is there and takes others' rights away.</summary>
    /// <exception cref="IOException">It is a link, not a folder, or belongs to another user.</exception>
    public static void Ensure(string path)
    {
        if (!Directory.Exists(path))
        {
            Directory.CreateDirectory(path, Private);
        }

        Check(path);
        if (File.GetUnixFileMode(path) != Private)
        {
            File.SetUnixFileMode(path, Private);
        }
    }

    /// <summary>Refuses a folder or file that is a link or belongs to another user.</summary>
    /// <exception cref="IOException">Says which of the two.</exception>
    public static void Check(string path)
    {
        const int FollowNoLink = 0x100;
        const int CurrentFolder = -100;
        const uint BasicStats = 0x7ff;
        const int TypeMask = 0xF000;
        const int Link = 0xA000;

        // statx has one layout on every architecture: uid at byte 20, mode at byte 28.
        var record = stackalloc byte[256];
        if (StatX(CurrentFolder, path, FollowNoLink, BasicStats, record) != 0)
        {
            throw new IOException($"cannot look at '{path}': {Marshal.GetLastPInvokeErrorMessage()}");
        }

        var owner = *(uint*)(record + 20);
        if ((*(ushort*)(record + 28) & TypeMask) == Link)
        {
            throw new IOException($"'{path}' is a symbolic link: somebody may have put it there; remove it");
        }

        if (owner != User)
        {
            throw new IOException($"'{path}' belongs to user id {owner}, but this is user id {User}: run as its owner, or remove it");
        }
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint EffectiveUser();

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int folder, string path, int flags, uint mask, byte* result);
}
