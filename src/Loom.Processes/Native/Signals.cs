using Loom.Processes.Table;

namespace Loom.Processes.Native;

/// <summary>Signals that cannot hit a stranger.</summary>
internal static class Signals
{
    /// <summary>
    /// Signals one process, if it is still the one meant: the pidfd pins the process, then the start time is compared, then it is signalled through the pidfd.
    /// </summary>
    /// <returns>False when that process is gone.</returns>
    internal static bool Send(ProcessIdentity target, int signal)
    {
        var descriptor = (int)Libc.Syscall(Linux.SysPidfdOpen, target.Pid, 0, 0, 0);
        if (descriptor < 0)
        {
            return false;
        }

        try
        {
            return ProcessTable.ReadEntry(target.Pid) is { } entry
                && entry.StartTicks == target.StartTicks
                && Libc.Syscall(Linux.SysPidfdSendSignal, descriptor, signal, 0, 0) == 0;
        }
        finally
        {
            _ = Libc.Close(descriptor);
        }
    }

    /// <summary>
    /// Signals a whole group. Safe only while the caller knows that the group id is still taken by the group meant: its leader is our unreaped child, or its
    /// identity was just compared. A stopped group is woken, or it would never see a TERM.
    /// </summary>
    internal static void SendToGroup(int group, int signal)
    {
        if (group <= 1)
        {
            throw new ArgumentOutOfRangeException(nameof(group), group, "a group id above 1 is needed: 0, 1 and -1 mean ourselves, init and everybody");
        }

        _ = Libc.Kill(-group, signal);
        _ = Libc.Kill(-group, Linux.SigContinue);
    }
}
