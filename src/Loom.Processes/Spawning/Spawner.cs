using System.Runtime.InteropServices;
using System.Text;
using Loom.Processes.Native;
using Loom.Processes.Table;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Spawning;

/// <summary>
/// Starts children by posix_spawn: own session, default signals, empty mask, and no descriptor of ours but the three it is given.
/// .NET's own Process shares our session, leaves SIGPIPE ignored and waits for pipe EOF instead of death.
/// </summary>
internal static unsafe class Spawner
{
    private const short SetGroup = 0x02;
    private const short SetSignalDefaults = 0x04;
    private const short SetSignalMask = 0x08;
    private const short SetSession = 0x80;

    // glibc keeps these types below 400 bytes on every architecture; the room to spare costs nothing.
    private const int OpaqueSize = 1024;

    private static readonly bool s_closeFrom = NativeLibrary.TryGetExport(NativeLibrary.GetMainProgramHandle(), "posix_spawn_file_actions_addclosefrom_np", out _);

    /// <summary>Starts one child. Whoever calls owns the result and must reap it through <see cref="Children"/>.</summary>
    /// <exception cref="SpawnException">The command cannot be started.</exception>
    internal static SpawnedChild Spawn(SpawnRequest request)
    {
        if (!Directory.Exists(request.WorkingDirectory))
        {
            throw new SpawnException($"cannot start '{request.Command[0]}': its working folder '{request.WorkingDirectory}' does not exist", permanent: true);
        }

        var program = CommandPath.Resolve(request.Command[0], request.WorkingDirectory, request.Environment.GetValueOrDefault("PATH"));
        if (request.OpenFiles is not null || request.Cgroup is not null)
        {
            Shim.CheckBegin(program);
            var command = request.Command.SetItem(0, program);
            command = request.OpenFiles is { } most ? Shim.LimitFiles(command, most) : command;
            command = request.Cgroup is { } group ? Shim.Enter(command, group) : command;
            (program, request) = (command[0], request with { Command = command });
        }

        var pipes = request.PipeOutput && !request.OurTerminal;
        (SafeFileHandle Read, SafeFileHandle Write)? input = null, output = null, error = null;
        try
        {
            input = request.PipeInput ? Pipe() : null;
            output = pipes ? Pipe() : null;
            error = pipes ? Pipe() : null;
            NonBlocking(input?.Write);
            NonBlocking(output?.Read);
            NonBlocking(error?.Read);
            var taken = Fill(input?.Write, request.FirstInput.Span);
            int Start() => Children.Start(() => SpawnWith(program, request, input?.Read, output?.Write, error?.Write));
            var pid = request.Nice is { } nice ? WithPriority(nice, request, Start) : Start();
            var (identity, exit) = Watched(pid, request);
            return new SpawnedChild(identity, exit, input?.Write, output?.Read, error?.Read) { InputTaken = taken };
        }
        catch
        {
            input?.Write.Dispose();
            output?.Read.Dispose();
            error?.Read.Dispose();
            throw;
        }
        finally
        {
            input?.Read.Dispose();
            output?.Write.Dispose();
            error?.Write.Dispose();
        }
    }

    /// <summary>What is needed to watch a child; one that cannot be watched, or not be told from a later one of its number, is ended with all it has started.</summary>
    private static (ProcessIdentity Identity, SafeFileHandle Exit) Watched(int pid, SpawnRequest request)
    {
        var exit = (int)Libc.Syscall(Linux.SysPidfdOpen, pid, 0, 0, 0);
        var reason = exit < 0 ? $"pidfd_open: {Marshal.GetLastPInvokeErrorMessage()}" : "its start time in /proc cannot be read";

        // The child is ours and unreaped, so the entry exists even if it has already ended.
        if (exit >= 0 && ProcessTable.ReadEntry(pid) is { } entry)
        {
            return (entry.Identity, new SafeFileHandle(exit, ownsHandle: true));
        }

        Signals.SendToGroup(pid, Linux.SigKill);
        Children.ReapBlocking(pid);
        if (exit >= 0)
        {
            _ = Libc.Close(exit);
        }

        throw new SpawnException($"cannot watch '{request.Command[0]}': {reason}", permanent: false);
    }

    private static int SpawnWith(string program, SpawnRequest request, SafeFileHandle? input, SafeFileHandle? output, SafeFileHandle? error)
    {
        byte* actions = stackalloc byte[OpaqueSize];
        byte* attributes = stackalloc byte[OpaqueSize];
        byte* signals = stackalloc byte[OpaqueSize];
        using var strings = new NativeStrings();
        Check(Libc.ActionsInit(actions), program, request);
        Check(Libc.AttributesInit(attributes), program, request);
        try
        {
            Check(Libc.AttributesSetFlags(attributes, (short)((request.OurTerminal ? SetGroup : SetSession) | SetSignalDefaults | SetSignalMask)), program, request);
            Check(Libc.AttributesSetGroup(attributes, 0), program, request); // its own pid
            _ = Libc.SignalsFill(signals);
            Check(Libc.AttributesSetDefaults(attributes, signals), program, request);
            _ = Libc.SignalsEmpty(signals);
            Check(Libc.AttributesSetMask(attributes, signals), program, request);

            if (!request.OurTerminal)
            {
                Standard(actions, 0, input, "/dev/null", Linux.ReadOnly, strings);
                Standard(actions, 1, output, request.OutputFile, Linux.WriteOnly | Linux.Create | Linux.Append, strings);
                Standard(actions, 2, error, request.OutputFile, Linux.WriteOnly | Linux.Create | Linux.Append, strings);
            }

            if (s_closeFrom)
            {
                _ = Libc.ActionsCloseFrom(actions, 3);
            }

            _ = Libc.ActionsChangeFolder(actions, strings.Add(request.WorkingDirectory));

            var arguments = strings.AddList(request.Command);
            var environment = strings.AddVariables(request.Environment);
            int pid;
            Check(Libc.Spawn(&pid, strings.Add(program), actions, attributes, arguments, environment), program, request);
            return pid;
        }
        finally
        {
            _ = Libc.ActionsDestroy(actions);
            _ = Libc.AttributesDestroy(attributes);
        }
    }

    /// <summary>Priority belongs to a thread and is inherited from the one that spawns; this one ends with it, since a lowered priority cannot be raised again.</summary>
    private static int WithPriority(int nice, SpawnRequest request, Func<int> start)
    {
        var pid = 0;
        Exception? fault = null;
        var thread = new Thread(() =>
        {
            try
            {
                pid = Libc.SetPriority(0, 0, nice) == 0 ? start() : throw new SpawnException(
                    $"cannot start '{request.Command[0]}' with limits.nice = {nice}: {Marshal.GetLastPInvokeErrorMessage()}; a value below the present one needs the right to raise priority",
                    permanent: true);
            }
            catch (Exception e)
            {
                fault = e;
            }
        }) { Name = "loom-spawn-nice" };
        thread.Start();
        thread.Join();
        if (fault is not null)
        {
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(fault);
        }

        return pid;
    }

    private static void Standard(byte* actions, int number, SafeFileHandle? pipe, string file, int flags, NativeStrings strings)
    {
        if (pipe is null)
        {
            const int OwnerOnly = 0x180; // 0600
            _ = Libc.ActionsOpen(actions, number, strings.Add(file), flags, OwnerOnly);
        }
        else
        {
            _ = Libc.ActionsDuplicate(actions, (int)pipe.DangerousGetHandle(), number);
        }
    }

    private static void Check(int error, string program, SpawnRequest request)
    {
        if (error == 0)
        {
            return;
        }

        var message = Marshal.GetPInvokeErrorMessage(error);
        throw error switch
        {
            Linux.NoEntry => new SpawnException($"cannot start '{program}': the interpreter in its first line, or its loader, does not exist", permanent: true),
            Linux.ExecFormat => new SpawnException($"cannot start '{program}': not a program of this machine, and no '#!' line", permanent: true),
            Linux.AccessDenied => new SpawnException($"cannot start '{program}' in '{request.WorkingDirectory}': {message}", permanent: true),
            Linux.Again or Linux.NoMemory => new SpawnException($"cannot start '{program}' now: {message} (limit of processes or memory)", permanent: false),
            _ => new SpawnException($"cannot start '{program}': {message} (error {error})", permanent: false),
        };
    }

    private static (SafeFileHandle Read, SafeFileHandle Write) Pipe()
    {
        var pair = stackalloc int[2];
        return Libc.Pipe2(pair, Linux.Cloexec) == 0
            ? (new SafeFileHandle(pair[0], ownsHandle: true), new SafeFileHandle(pair[1], ownsHandle: true))
            : throw new SpawnException($"cannot make a pipe: {Marshal.GetLastPInvokeErrorMessage()}", permanent: false);
    }

    /// <summary>Puts in what the pipe takes now: there is no reader yet, and a user with many pipes gets small ones.</summary>
    private static int Fill(SafeFileHandle? pipe, ReadOnlySpan<byte> content)
    {
        fixed (byte* p = content)
        {
            return pipe is null || content.IsEmpty ? 0 : Math.Max(0, (int)Libc.Write((int)pipe.DangerousGetHandle(), p, (nuint)content.Length));
        }
    }

    private static void NonBlocking(SafeFileHandle? pipe)
    {
        const int SetFlags = 4;
        if (pipe is not null)
        {
            // Only our end: the flag belongs to the open file description, and the child holds the other one.
            _ = Libc.FileControl((int)pipe.DangerousGetHandle(), SetFlags, Linux.NonBlock);
        }
    }

    internal sealed class NativeStrings : IDisposable
    {
        private readonly List<nint> _blocks = [];

        internal byte* Add(string text) => Add(text, null);

        internal byte** AddList(IReadOnlyList<string> items)
        {
            var list = List(items.Count);
            for (var i = 0; i < items.Count; i++)
            {
                list[i] = Add(items[i]);
            }

            return list;
        }

        /// <summary>The form of an environment; written straight into native memory, since each spawn makes a whole one.</summary>
        internal byte** AddVariables(IReadOnlyDictionary<string, string> variables)
        {
            var list = List(variables.Count);
            foreach (var (name, value) in variables)
            {
                *list++ = Add(name, value);
            }

            return list - variables.Count;
        }

        private byte* Add(string text, string? value)
        {
            if (text.Contains('\0', StringComparison.Ordinal) || value?.Contains('\0', StringComparison.Ordinal) == true)
            {
                throw new SpawnException("a command, folder or variable holds a zero character", permanent: true);
            }

            var length = Encoding.UTF8.GetByteCount(text) + (value is null ? 0 : 1 + Encoding.UTF8.GetByteCount(value)) + 1;
            var block = Marshal.AllocCoTaskMem(length);
            _blocks.Add(block);
            var target = new Span<byte>((void*)block, length);
            target = target[Encoding.UTF8.GetBytes(text, target)..];
            if (value is not null)
            {
                target[0] = (byte)'=';
                target = target[1..];
                target = target[Encoding.UTF8.GetBytes(value, target)..];
            }

            target[0] = 0;
            return (byte*)block;
        }

        private byte** List(int count)
        {
            var list = (byte**)Marshal.AllocCoTaskMem((count + 1) * sizeof(byte*));
            _blocks.Add((nint)list);
            list[count] = null;
            return list;
        }

        public void Dispose()
        {
            foreach (var block in _blocks)
            {
                Marshal.FreeCoTaskMem(block);
            }
        }
    }
}
