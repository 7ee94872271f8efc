using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Native;

/// <summary>The C library as this room needs it. Everything returns -1 and sets errno unless said otherwise.</summary>
internal static unsafe partial class Libc
{
    private const string Library = "libc";

    [LibraryImport(Library, EntryPoint = "kill", SetLastError = true)]
    internal static partial int Kill(int pid, int signal);

    [LibraryImport(Library, EntryPoint = "geteuid")]
    internal static partial uint EffectiveUser();

    [LibraryImport(Library, EntryPoint = "setsid", SetLastError = true)]
    internal static partial int SetSession();

    [LibraryImport(Library, EntryPoint = "getpgrp")]
    internal static partial int OwnGroup();

    [LibraryImport(Library, EntryPoint = "getppid")]
    internal static partial int Parent();

    [LibraryImport(Library, EntryPoint = "tcgetpgrp", SetLastError = true)]
    internal static partial int TerminalGroup(SafeFileHandle terminal);

    [LibraryImport(Library, EntryPoint = "tcsetpgrp", SetLastError = true)]
    internal static partial int SetTerminalGroup(SafeFileHandle terminal, int group);

    [LibraryImport(Library, EntryPoint = "tcgetattr", SetLastError = true)]
    internal static partial int TerminalModes(SafeFileHandle terminal, byte* modes);

    [LibraryImport(Library, EntryPoint = "tcsetattr", SetLastError = true)]
    internal static partial int SetTerminalModes(SafeFileHandle terminal, int when, byte* modes);

    /// <summary>Returns the error instead of setting errno.</summary>
    [LibraryImport(Library, EntryPoint = "pthread_sigmask")]
    internal static partial int ThreadMask(int how, byte* set, byte* before);

    [LibraryImport(Library, EntryPoint = "sigaddset")]
    internal static partial int SignalsAdd(byte* set, int signal);

    [LibraryImport(Library, EntryPoint = "prctl", SetLastError = true)]
    internal static partial int ProcessControl(int option, nuint arg2, nuint arg3, nuint arg4, nuint arg5);

    /// <summary>Who 0 means the calling thread on Linux, not its whole process: what it spawns inherits the value, its fellows keep theirs.</summary>
    [LibraryImport(Library, EntryPoint = "setpriority", SetLastError = true)]
    internal static partial int SetPriority(int which, int who, int nice);

    [LibraryImport(Library, EntryPoint = "waitid", SetLastError = true)]
    internal static partial int WaitId(int idType, int id, byte* info, int options);

    [LibraryImport(Library, EntryPoint = "waitpid", SetLastError = true)]
    internal static partial int WaitPid(int pid, int* status, int options);

    [LibraryImport(Library, EntryPoint = "syscall", SetLastError = true)]
    internal static partial nint Syscall(nint number, nint a, nint b, nint c, nint d);

    [LibraryImport(Library, EntryPoint = "pipe2", SetLastError = true)]
    internal static partial int Pipe2(int* pair, int flags);

    [LibraryImport(Library, EntryPoint = "fcntl", SetLastError = true)]
    internal static partial int FileControl(int descriptor, int command, nint argument);

    [LibraryImport(Library, EntryPoint = "read", SetLastError = true)]
    internal static partial nint Read(int descriptor, byte* buffer, nuint count);

    [LibraryImport(Library, EntryPoint = "write", SetLastError = true)]
    internal static partial nint Write(int descriptor, byte* buffer, nuint count);

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true)]
    internal static partial int Open(byte* path, int flags, int mode);

    [LibraryImport(Library, EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial SafeFileHandle OpenFile(string path, int flags, int mode);

    [LibraryImport(Library, EntryPoint = "close", SetLastError = true)]
    internal static partial int Close(int descriptor);

    [LibraryImport(Library, EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int Access(string path, int mode);

    [LibraryImport(Library, EntryPoint = "epoll_create1", SetLastError = true)]
    internal static partial SafeFileHandle EpollCreate(int flags);

    [LibraryImport(Library, EntryPoint = "epoll_ctl", SetLastError = true)]
    internal static partial int EpollControl(SafeFileHandle epoll, int operation, int descriptor, byte* change);

    [LibraryImport(Library, EntryPoint = "epoll_wait", SetLastError = true)]
    internal static partial int EpollWait(SafeFileHandle epoll, byte* events, int capacity, int timeout);

    [LibraryImport(Library, EntryPoint = "eventfd", SetLastError = true)]
    internal static partial SafeFileHandle EventDescriptor(uint initial, int flags);

    [LibraryImport(Library, EntryPoint = "execve", SetLastError = true)]
    internal static partial int Execute(byte* path, byte** arguments, byte** environment);

    // posix_spawn and its helpers return the error instead of setting errno.
    [LibraryImport(Library, EntryPoint = "posix_spawn")]
    internal static partial int Spawn(int* pid, byte* path, byte* actions, byte* attributes, byte** arguments, byte** environment);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_init")]
    internal static partial int AttributesInit(byte* attributes);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_destroy")]
    internal static partial int AttributesDestroy(byte* attributes);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setflags")]
    internal static partial int AttributesSetFlags(byte* attributes, short flags);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setsigmask")]
    internal static partial int AttributesSetMask(byte* attributes, byte* set);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setsigdefault")]
    internal static partial int AttributesSetDefaults(byte* attributes, byte* set);

    [LibraryImport(Library, EntryPoint = "posix_spawnattr_setpgroup")]
    internal static partial int AttributesSetGroup(byte* attributes, int group);

    [LibraryImport(Library, EntryPoint = "sigfillset")]
    internal static partial int SignalsFill(byte* set);

    [LibraryImport(Library, EntryPoint = "sigemptyset")]
    internal static partial int SignalsEmpty(byte* set);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_init")]
    internal static partial int ActionsInit(byte* actions);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_destroy")]
    internal static partial int ActionsDestroy(byte* actions);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_addopen")]
    internal static partial int ActionsOpen(byte* actions, int descriptor, byte* path, int flags, int mode);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_adddup2")]
    internal static partial int ActionsDuplicate(byte* actions, int from, int to);

    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_addchdir_np")]
    internal static partial int ActionsChangeFolder(byte* actions, byte* path);

    /// <summary>glibc 2.34 and newer; the caller checks that it exists.</summary>
    [LibraryImport(Library, EntryPoint = "posix_spawn_file_actions_addclosefrom_np")]
    internal static partial int ActionsCloseFrom(byte* actions, int from);
}

/// <summary>Numbers of the Linux interface.</summary>
internal static class Linux
{
    internal const int Cloexec = 0x80000;
    internal const int NonBlock = 0x800;
    internal const int ReadOnly = 0;
    internal const int ReadWrite = 2;
    internal const int NoTerminal = 0x100;
    internal const int WriteOnly = 1;
    internal const int Create = 0x40;
    internal const int Append = 0x400;

    internal const int SigKill = 9;
    internal const int SigTerm = 15;
    internal const int SigContinue = 18;
    internal const int SigTerminalStop = 20;
    internal const int SigTerminalInput = 21;
    internal const int SigTerminalOutput = 22;

    internal const int NoEntry = 2;
    internal const int NoProcess = 3;
    internal const int Interrupted = 4;
    internal const int ExecFormat = 8;
    internal const int Again = 11;
    internal const int NoMemory = 12;
    internal const int AccessDenied = 13;

    internal const nint SysPidfdOpen = 434;
    internal const nint SysPidfdSendSignal = 424;

    internal const int PrSetChildSubreaper = 36;
    internal const int PrSetDumpable = 4;

    internal const int WaitNoHang = 1;
    internal const int WaitStopped = 2;
    internal const int WaitExited = 4;
    internal const int WaitByPid = 1;
    internal const int WaitNoWait = 0x01000000;
    internal const int WaitByPidfd = 3;

    internal const int ExecutePermission = 1;
    internal const int WritePermission = 2;
}
