using Loom.Processes.Native;

namespace Loom.Processes.Spawning;

/// <summary>
/// The children of this operating system process that Loom started and has not reaped. Static because children belong to the process, not to an object:
/// whoever looks for adopted strays must not take a neighbour's child for one.
/// </summary>
internal static unsafe class Children
{
    private static readonly Lock s_gate = new();
    private static readonly HashSet<int> s_pids = [];

    /// <summary>Runs <paramref name="spawn"/> and records its pid in one step, so that no scan can see the child unrecorded.</summary>
    internal static int Start(Func<int> spawn)
    {
        lock (s_gate)
        {
            var pid = spawn();
            s_pids.Add(pid);
            return pid;
        }
    }

    /// <summary>True while <paramref name="pid"/> is a child started here and not reaped.</summary>
    internal static bool Contains(int pid)
    {
        lock (s_gate)
        {
            return s_pids.Contains(pid);
        }
    }

    /// <summary>
    /// How the child behind a pidfd ended, without reaping it; null while it runs. Neither code nor signal when somebody else has reaped it: ended, nobody knows how.
    /// </summary>
    internal static (int? Code, int? Signal)? PeekExit(int pidfd)
    {
        const int ExitedByCode = 1;
        var info = stackalloc byte[128];
        new Span<byte>(info, 128).Clear();
        if (Libc.WaitId(Linux.WaitByPidfd, pidfd, info, Linux.WaitExited | Linux.WaitNoWait | Linux.WaitNoHang) != 0)
        {
            return (null, null); // no such child (any more): waiting on would be for ever, and the descriptor stays readable
        }

        var pid = *(int*)(info + 16);
        var code = *(int*)(info + 8);
        var status = *(int*)(info + 24);
        return pid == 0 ? null : code == ExitedByCode ? (status, null) : (null, status);
    }

    /// <summary>Reaps an ended child; from here on its pid may belong to a stranger. By pid, never any child: other code has children too.</summary>
    internal static void Reap(int pid)
    {
        lock (s_gate)
        {
            int status;
            _ = Libc.WaitPid(pid, &status, Linux.WaitNoHang);
            s_pids.Remove(pid);
        }
    }

    /// <summary>Reaps a child that was just killed.</summary>
    internal static void ReapBlocking(int pid)
    {
        int status;
        _ = Libc.WaitPid(pid, &status, 0);
        lock (s_gate)
        {
            s_pids.Remove(pid);
        }
    }

    /// <summary>Reaps a zombie that was adopted, unless it is a child started here.</summary>
    internal static void ReapAdopted(int pid)
    {
        lock (s_gate)
        {
            if (!s_pids.Contains(pid))
            {
                int status;
                _ = Libc.WaitPid(pid, &status, Linux.WaitNoHang);
            }
        }
    }
}
