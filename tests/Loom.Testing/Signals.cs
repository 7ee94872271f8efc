using System.Globalization;
using System.Runtime.InteropServices;

namespace Loom.Testing;

/// <summary>Signals to processes a test started itself.</summary>
public static partial class Signals
{
    public const int Term = 15;
    public const int Int = 2;

    /// <summary>Sends <paramref name="signal"/>.</summary>
    public static void Send(int pid, int signal)
    {
        if (Kill(pid, signal) != 0)
        {
            throw new InvalidOperationException($"kill({pid}, {signal}): {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    /// <summary>Has this process, and all it starts from now on, hear a signal that it was told to ignore by who started it.</summary>
    public static void HearAgain(int signal)
    {
        var line = File.ReadLines("/proc/self/status").First(l => l.StartsWith("SigIgn:", StringComparison.Ordinal));
        var ignored = ulong.Parse(line.AsSpan("SigIgn:".Length).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        if (((ignored >> (signal - 1)) & 1) != 0)
        {
            _ = Handle(signal, 0);
        }
    }

    [LibraryImport("libc", EntryPoint = "signal")]
    private static partial nint Handle(int signal, nint handler);

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
