using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Loom.Core.Storage;

/// <summary>
/// Writes files so that a reader sees the old content or the new one, never a part, also after a power cut:
/// temp file in the same folder, fsync, rename, fsync of the folder.
/// </summary>
public static partial class DurableFile
{
    /// <summary>Replaces <paramref name="path"/> with <paramref name="content"/>.</summary>
    /// <param name="path">Target; its folder must exist.</param>
    /// <param name="content">New content, whole.</param>
    /// <param name="mode">Permissions of the file, default 0600.</param>
    /// <exception cref="IOException">The disk is full or the folder cannot be written; the old content stands and no temp file is left.</exception>
    public static void Write(string path, ReadOnlySpan<byte> content, UnixFileMode mode = UnixFileMode.UserRead | UnixFileMode.UserWrite)
    {
        var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        var temp = Path.Combine(folder, $".{Path.GetFileName(path)}.{Guid.NewGuid():N}.tmp");
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None, UnixCreateMode = mode, BufferSize = 0 };
            using (var stream = new FileStream(temp, options))
            {
                stream.Write(content);
                stream.Flush(flushToDisk: true);
            }

            Publish(temp, path);
        }
        catch
        {
            File.Delete(temp);
            throw;
        }
    }

    /// <summary>Moves an already flushed temp file over <paramref name="path"/> and makes the move itself durable.</summary>
    /// <param name="temp">Complete, fsynced file in the folder of <paramref name="path"/>.</param>
    /// <param name="path">Final name; an existing file is replaced.</param>
    public static void Publish(string temp, string path)
    {
        File.Move(temp, path, overwrite: true);
        FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Moves a complete, flushed folder to <paramref name="path"/>, which must not exist, and makes the move itself durable.</summary>
    public static void PublishFolder(string temp, string path)
    {
        Directory.Move(temp, path);
        FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Makes names that were added to, changed in or taken from a folder durable.</summary>
    /// <exception cref="IOException">The folder cannot be flushed.</exception>
    public static void FlushFolder(string folder)
    {
        // .NET opens no folders, and a rename is durable only once its folder is flushed.
        using var handle = Open(folder, 0x10000 /* O_RDONLY | O_DIRECTORY */ | 0x80000 /* O_CLOEXEC */);
        if (handle.IsInvalid || FSync(handle) != 0)
        {
            throw new IOException($"cannot flush folder '{folder}' to disk: {Marshal.GetLastPInvokeErrorMessage()}");
        }
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial SafeFileHandle Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSync(SafeFileHandle handle);
}
