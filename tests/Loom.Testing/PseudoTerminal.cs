using System.Runtime.InteropServices;
using System.Text;
using Loom.Processes.Native;
using Microsoft.Win32.SafeHandles;

namespace Loom.Testing;

/// <summary>A terminal of a test: what a program on it writes is collected, what is typed it reads; disposing it closes the window.</summary>
public sealed partial class PseudoTerminal : IDisposable
{
    private const int ReadWriteNoTerminal = 0x2 | 0x100;
    private const int NonBlocking = 0x800;
    private const int Cloexec = 0x80000;

    private readonly SafeFileHandle _master;
    private readonly StringBuilder _screen = new();
    private readonly string _slave;
    private readonly Task _collecting;
    private volatile bool _closing;

    public PseudoTerminal()
    {
        var name = new byte[64];
        _master = Open(ReadWriteNoTerminal | NonBlocking | Cloexec);
        if (_master.IsInvalid || Grant(_master) != 0 || Unlock(_master) != 0 || Name(_master, name, name.Length) != 0)
        {
            throw new InvalidOperationException($"no pseudo terminal: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        _slave = Encoding.ASCII.GetString(name.AsSpan(0, Array.IndexOf(name, (byte)0)));
        _collecting = CollectAsync();
    }

    /// <summary>All that was written to it.</summary>
    public string Screen
    {
        get
        {
            lock (_screen)
            {
                return _screen.ToString();
            }
        }
    }

    /// <summary>The group that keys go to.</summary>
    public int Foreground => Libc.TerminalGroup(_master);

    /// <summary>A command that runs another with this as its controlling terminal; to be started as leader of a new session.</summary>
    public string[] Command(params string[] command) => ["sh", "-c", $"exec \"$@\" 0<>{_slave} 1>&0 2>&1", "sh", .. command];

    public void Type(string keys)
    {
        var bytes = Encoding.UTF8.GetBytes(keys);
        if (Write(_master, bytes, bytes.Length) != bytes.Length)
        {
            throw new InvalidOperationException($"cannot type: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    public void Dispose()
    {
        // Nobody may be reading: a terminal whose master is being read is not closed before the read ends.
        _closing = true;
        _collecting.Wait();
        _master.Dispose();
    }

    private async Task CollectAsync()
    {
        var buffer = new byte[4096];
        while (!_closing)
        {
            var count = (int)Read(_master, buffer, buffer.Length);
            if (count > 0)
            {
                lock (_screen)
                {
                    _screen.Append(Encoding.UTF8.GetString(buffer, 0, count));
                }
            }
            else
            {
                // Nothing now; or nobody has it open, not yet or for a moment.
                await Task.Delay(10).ConfigureAwait(false);
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "posix_openpt", SetLastError = true)]
    private static partial SafeFileHandle Open(int flags);

    [LibraryImport("libc", EntryPoint = "grantpt", SetLastError = true)]
    private static partial int Grant(SafeFileHandle master);

    [LibraryImport("libc", EntryPoint = "unlockpt", SetLastError = true)]
    private static partial int Unlock(SafeFileHandle master);

    [LibraryImport("libc", EntryPoint = "ptsname_r", SetLastError = true)]
    private static partial int Name(SafeFileHandle master, byte[] name, nint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(SafeFileHandle file, byte[] buffer, nint count);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint Read(SafeFileHandle file, byte[] buffer, nint count);
}
