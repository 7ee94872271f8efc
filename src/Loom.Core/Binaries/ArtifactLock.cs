using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Loom.Core.Binaries;

/// <summary>
/// One lock per artifact, so that two processes fetch it once: <c>flock</c> on a file beside it, freed by the kernel when its holder dies. The file is never
/// deleted: deleting it would let two holders lock two files of one name.
/// </summary>
public sealed partial class ArtifactLock : IDisposable
{
    // EWOULDBLOCK: somebody holds it. Anything else, such as a disk for reading only, does not pass by waiting.
    private const int WouldBlock = 11;

    private static readonly TimeSpan s_poll = TimeSpan.FromMilliseconds(100);
    private readonly FileStream _file;

    private ArtifactLock(FileStream file) => _file = file;

    /// <summary>Waits for the lock.</summary>
    /// <param name="path">The lock file; its folder must exist.</param>
    /// <param name="waiting">Told once, with the holder, when somebody else has it.</param>
    /// <param name="time">Clock between tries.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public static async Task<ArtifactLock> TakeAsync(string path, Action<string> waiting, TimeProvider time, CancellationToken cancellationToken)
    {
        for (var first = true; ; first = false)
        {
            try
            {
                // FileShare.None is flock(LOCK_EX | LOCK_NB) on Linux.
                var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 0);
                file.SetLength(0);
                file.Write(Encoding.ASCII.GetBytes(Environment.ProcessId.ToString(CultureInfo.InvariantCulture)));
                return new ArtifactLock(file);
            }
            catch (IOException e) when (e.HResult == WouldBlock)
            {
                if (first)
                {
                    waiting(Holder(path));
                }

                await Task.Delay(s_poll, time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    public void Dispose() => _file.Dispose();

    private static string Holder(string path)
    {
        try
        {
            // Opened past .NET, whose every way to open a file asks for a lock that the holder's excludes.
            using var handle = Open(path, 0x80000 /* O_RDONLY | O_CLOEXEC */);
            if (handle.IsInvalid)
            {
                return "another process";
            }

            using var file = new FileStream(handle, FileAccess.Read);
            using var reader = new StreamReader(file);
            return reader.ReadToEnd() is { Length: > 0 } pid ? $"process {pid}" : "another process";
        }
        catch (IOException)
        {
            return "another process";
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);
}
