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

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int pid, int signal);
}
