using System.Runtime.InteropServices;

namespace Loom.Processes.Native;

/// <summary>What this kernel and C library offer, tried and not read off a version: a sandbox may refuse what the version promises.</summary>
public static unsafe partial class KernelFeatures
{
    private const nint SysOpenAt2 = 437;

    /// <summary>Whether a process can be held by a descriptor.</summary>
    public static bool Pidfd()
    {
        var descriptor = (int)Libc.Syscall(Linux.SysPidfdOpen, Environment.ProcessId, 0, 0, 0);
        if (descriptor < 0)
        {
            return false;
        }

        _ = Libc.Close(descriptor);
        return true;
    }

    /// <summary>Whether a path can be opened below a folder and never above it.</summary>
    public static bool OpenBeneath()
    {
        const int CurrentFolder = -100;
        const ulong ReadOnlyCloexec = 0x80000;
        const ulong ResolveBeneath = 8;
        var how = stackalloc ulong[3] { ReadOnlyCloexec, 0, ResolveBeneath };
        ReadOnlySpan<byte> path = ".\0"u8;
        fixed (byte* p = path)
        {
            var descriptor = (int)Libc.Syscall(SysOpenAt2, CurrentFolder, (nint)p, (nint)how, 24);
            if (descriptor < 0)
            {
                return false;
            }

            _ = Libc.Close(descriptor);
            return true;
        }
    }

    /// <summary>Version of glibc; null with another C library.</summary>
    public static Version? Glibc()
    {
        try
        {
            return Version.TryParse(Marshal.PtrToStringUTF8(GlibcVersion()), out var version) ? version : null;
        }
        catch (EntryPointNotFoundException)
        {
            return null;
        }
    }

    [LibraryImport("libc", EntryPoint = "gnu_get_libc_version")]
    private static partial nint GlibcVersion();
}
