using System.Runtime.InteropServices;
using Loom.Processes.Native;
using Loom.Processes.Table;
using Microsoft.Win32.SafeHandles;

namespace Loom.Processes.Spawning;

/// <summary>
/// Our controlling terminal, lent to a child's group as a shell lends it to a job: keys, Ctrl-C and Ctrl-Z go to the child while it has it. A child stopped by
/// Ctrl-Z stops us too, so that the shell above sees a stopped job; when that shell continues us, the child gets the terminal again and goes on.
/// </summary>
internal sealed unsafe class TerminalLoan
{
    // Larger than the terminal modes and the signal set of any architecture.
    private const int OpaqueSize = 256;
    private const int Now = 0;
    private const int Block = 0;
    private const int Replace = 2;

    private readonly Lock _gate = new();
    private readonly SafeFileHandle _terminal;
    private readonly int _group;
    private readonly byte[] _modes = new byte[OpaqueSize];
    private readonly PosixSignalRegistration _onChild;
    private readonly PosixSignalRegistration _onContinue;
    private bool _returned;

    private TerminalLoan(SafeFileHandle terminal, int group)
    {
        _terminal = terminal;
        _group = group;
        fixed (byte* modes = _modes)
        {
            _ = Libc.TerminalModes(terminal, modes);
        }

        _onChild = PosixSignalRegistration.Create(PosixSignal.SIGCHLD, _ => LookForStop());
        _onContinue = PosixSignalRegistration.Create(PosixSignal.SIGCONT, signal =>
        {
            // .NET would now set the terminal's modes; from the background, where we are a moment later, that would stop us again.
            signal.Cancel = true;
            GoOn();
        });
        GoOn();
    }

    /// <summary>Lends the terminal to a child that was just spawned into a group of its own in our session.</summary>
    /// <returns>Null without a controlling terminal: the child then simply has our streams.</returns>
    internal static TerminalLoan? To(int group)
    {
        var terminal = Libc.OpenFile("/dev/tty", Linux.ReadWrite | Linux.NoTerminal | Linux.Cloexec, 0);
        if (!terminal.IsInvalid)
        {
            return new TerminalLoan(terminal, group);
        }

        terminal.Dispose();
        return null;
    }

    /// <summary>Takes the terminal back, once the child has ended.</summary>
    /// <param name="restore">Give it the modes it had before: a child that was killed could not tidy up itself.</param>
    internal void Return(bool restore)
    {
        lock (_gate)
        {
            if (_returned)
            {
                return;
            }

            _returned = true;
            if (Libc.TerminalGroup(_terminal) == _group)
            {
                Hand(Libc.OwnGroup(), restore);
            }

            _terminal.Dispose();
        }

        _onChild.Dispose();
        _onContinue.Dispose();
    }

    /// <summary>At the start, and whenever a shell has continued us: in the foreground the child gets the terminal; in any case it goes on.</summary>
    private void GoOn()
    {
        lock (_gate)
        {
            if (_returned)
            {
                return;
            }

            if (Libc.TerminalGroup(_terminal) == Libc.OwnGroup())
            {
                Hand(_group, restore: false);
            }

            // It may have asked for the terminal before it had it, and been stopped for that.
            _ = Libc.Kill(-_group, Linux.SigContinue);
        }
    }

    private void LookForStop()
    {
        lock (_gate)
        {
            if (_returned || Stopped() is not (Linux.SigTerminalStop or Linux.SigTerminalInput or Linux.SigTerminalOutput))
            {
                return;
            }

            var holds = Libc.TerminalGroup(_terminal) == _group;
            if (SomebodyCanContinueUs())
            {
                if (holds)
                {
                    Hand(Libc.OwnGroup(), restore: true);
                }

                _ = Libc.Kill(0, Linux.SigTerminalStop); // our whole group, as the terminal would have done it
            }
            else if (holds)
            {
                _ = Libc.Kill(-_group, Linux.SigContinue); // nobody could ever wake us: Ctrl-Z does nothing
            }
        }
    }

    /// <summary>The signal that has stopped the child; null when none has.</summary>
    private int? Stopped()
    {
        var info = stackalloc byte[128];
        new Span<byte>(info, 128).Clear();
        return Libc.WaitId(Linux.WaitByPid, _group, info, Linux.WaitStopped | Linux.WaitNoHang) == 0 && *(int*)(info + 16) != 0 ? *(int*)(info + 24) : null;
    }

    /// <summary>Our parent is of our session and of another group: a shell with job control.</summary>
    private static bool SomebodyCanContinueUs() =>
        ProcessTable.ReadEntry(Libc.Parent()) is { } parent && ProcessTable.ReadEntry(Environment.ProcessId) is { } self
        && parent.Session == self.Session && parent.Group != self.Group;

    private void Hand(int group, bool restore)
    {
        // Whoever is not in the foreground and changes the terminal is stopped for it, unless this signal is blocked.
        byte* output = stackalloc byte[OpaqueSize];
        byte* before = stackalloc byte[OpaqueSize];
        _ = Libc.SignalsEmpty(output);
        _ = Libc.SignalsAdd(output, Linux.SigTerminalOutput);
        _ = Libc.ThreadMask(Block, output, before);
        _ = Libc.SetTerminalGroup(_terminal, group);
        if (restore)
        {
            fixed (byte* modes = _modes)
            {
                _ = Libc.SetTerminalModes(_terminal, Now, modes);
            }
        }

        _ = Libc.ThreadMask(Replace, before, null);
    }
}
