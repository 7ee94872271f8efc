using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Loom.Core.Storage;

/// <summary>
/// An exclusive lock on a file by flock: held as long as this object, and given back by the kernel however its holder ends. The file itself says nothing;
/// it is never deleted, since a deleted lock file can be locked twice.
/// </summary>
public sealed partial class FileLock : IDisposable
{
    private readonly SafeFileHandle _file;

    private FileLock(SafeFileHandle file) => _file = file;

    /// <summary>Takes the lock, or returns null when somebody holds it. The file is created with mode 0600 where it is missing.</summary>
    /// <exception cref="IOException">The file cannot be opened or locked, or is a symbolic link.</exception>
    public static FileLock? TryAcquire(string path)
    {
        const int ReadWriteCreateCloexecNoFollow = 2 | 0x40 | 0x80000 | 0x20000;
        const int ExclusiveNonBlocking = 2 | 4;
        var file = Open(path, ReadWriteCreateCloexecNoFollow, 0x180 /* 0600 */);
        if (file.IsInvalid)
        {
            throw new IOException($"cannot open lock file '{path}': {Marshal.GetLastPInvokeErrorMessage()}");
        }

        if (Flock(file, ExclusiveNonBlocking) == 0)
        {
            return new FileLock(file);
        }

        const int WouldBlock = 11;
        var (error, why) = (Marshal.GetLastPInvokeError(), Marshal.GetLastPInvokeErrorMessage());
        file.Dispose();
        return error == WouldBlock ? null : throw new IOException($"cannot lock '{path}': {why}");
    }

    /// <summary>Takes the lock, waiting for its holder.</summary>
    /// <param name="path">The lock file.</param>
    /// <param name="time">Clock of the wait.</param>
    /// <param name="limit">Longest wait.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The lock, or null when it was held all the time.</returns>
    public static async Task<FileLock?> AcquireAsync(string path, TimeProvider time, TimeSpan limit, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (true)
        {
            if (TryAcquire(path) is { } taken)
            {
                return taken;
            }

            if (time.GetElapsedTime(start) >= limit)
            {
                return null;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), time, cancellationToken).ConfigureAwait(false);
        }
    }

    public void Dispose() => _file.Dispose();

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int Flock(SafeFileHandle file, int operation);
}
