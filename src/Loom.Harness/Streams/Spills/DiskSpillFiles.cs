using System.Globalization;
using Microsoft.Win32.SafeHandles;

namespace Loom.Harness.Streams.Spills;

/// <summary>
/// Spilled frames in a folder of the stream below the state folder, files with mode 0600. What a run before left is of no use: after a crash its sources deliver
/// those events again. So the folder is emptied when it is first needed, and removed at the end when nothing was set aside.
/// </summary>
internal sealed class DiskSpillFiles(string folder) : ISpillFiles, IDisposable
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private readonly Dictionary<int, SafeFileHandle> _open = [];
    private bool _cleared;

    /// <summary>The folder of a stream: a number, since names may differ in what a file name cannot hold, and as much of the name as one can.</summary>
    public static string FolderOf(string stateFolder, int number, string binding) =>
        Path.Combine(stateFolder, "spill", string.Create(CultureInfo.InvariantCulture, $"{number}-") + string.Concat(binding.Select(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' ? c : '_')));

    /// <summary>Removes what earlier runs spilled; frames that were set aside stay for the person they are kept for.</summary>
    public static void Clear(string stateFolder)
    {
        var spill = Path.Combine(stateFolder, "spill");
        if (!Directory.Exists(spill))
        {
            return;
        }

        foreach (var file in Directory.EnumerateFiles(spill, "*.spill", SearchOption.AllDirectories))
        {
            File.Delete(file);
        }
    }

    public void Write(int file, long offset, ReadOnlySpan<byte> frame) => RandomAccess.Write(Open(file), frame, offset);

    public int Read(int file, long offset, Span<byte> frame)
    {
        var read = 0;
        while (read < frame.Length && RandomAccess.Read(Open(file), frame[read..], offset + read) is > 0 and var more)
        {
            read += more;
        }

        return read;
    }

    public void Remove(int file)
    {
        if (_open.Remove(file, out var handle))
        {
            handle.Dispose();
        }

        File.Delete(PathOf(file));
    }

    public string? SetAside(int number, ReadOnlySpan<byte> frame)
    {
        // Each run numbers its frames anew, and what an earlier one set aside is still somebody's.
        string Aside(int nth) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"damaged-{number:d6}{(nth == 1 ? "" : $"-{nth}")}.frame"));
        try
        {
            var nth = 1;
            while (File.Exists(Aside(nth)))
            {
                nth++;
            }

            using var file = new FileStream(Aside(nth), new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = OwnerOnly });
            file.Write(frame);
            return file.Name;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public void Dispose()
    {
        foreach (var file in _open.Keys.ToList())
        {
            Remove(file);
        }

        if (_cleared && Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any())
        {
            Directory.Delete(folder);
        }
    }

    private string PathOf(int file) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{file:d6}.spill"));

    private SafeFileHandle Open(int file)
    {
        if (_open.TryGetValue(file, out var handle))
        {
            return handle;
        }

        if (!_cleared)
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            _cleared = true;
        }

        using var created = new FileStream(PathOf(file), new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = OwnerOnly });
        handle = File.OpenHandle(PathOf(file), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        _open[file] = handle;
        return handle;
    }
}
