using Loom.Core.Storage;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>
/// The files a source follows: finds new ones, notices renamed, truncated and replaced ones, and knows each again after a restart. Files are told apart
/// by what they are, not by their names, so a rotation loses and repeats nothing.
/// </summary>
/// <param name="files">Which files.</param>
/// <param name="options">How.</param>
internal sealed class Tail(FileSet files, FileLineOptions options) : IDisposable
{
    // A writer may hold a renamed file open for a moment: five seconds at the default pace.
    private const int QuietLooksToClose = 20;

    private readonly List<TailedFile> _open = [];
    private readonly List<Fingerprint> _known = [];
    private readonly HashSet<string> _partitions = new(StringComparer.Ordinal);
    private IReadOnlyDictionary<string, long> _next = new Dictionary<string, long>();
    private volatile Fingerprint[] _published = [];
    private bool _looked;
    private bool _followedBefore;

    /// <summary>Files that are open, in order of discovery.</summary>
    public IReadOnlyList<TailedFile> Open => _open;

    /// <summary>Identities to keep in a checkpoint; an array of its own, which may be read while a look goes on.</summary>
    public Fingerprint[] Known => _published;

    /// <summary>Where to go on in files that are known from an earlier run.</summary>
    public void Seek(IReadOnlyDictionary<string, long> next)
    {
        _next = next;
        foreach (var partition in next.Keys)
        {
            _partitions.Add(partition);
        }
    }

    /// <summary>Identities of an earlier run.</summary>
    public void Restore(IEnumerable<Fingerprint> known)
    {
        _followedBefore = true;
        _known.AddRange(known);
        foreach (var one in _known)
        {
            _partitions.Add(one.Partition);
        }

        Publish();
    }

    /// <summary>Looks at the disk: opens what is new, marks what was rotated, closes what is done.</summary>
    public void Look()
    {
        var present = new HashSet<(ulong, ulong)>();
        foreach (var path in Candidates())
        {
            if (FileStat.Of(path, follow: true) is not { } stat)
            {
                continue;
            }

            present.Add((stat.Device, stat.Inode));
            if (_open.Find(f => f.Fingerprint.IsSameNode(stat)) is { } open)
            {
                if (!WasReplaced(open))
                {
                    Refresh(open, path);
                    continue;
                }

                _open.Remove(open);
                open.Dispose();
            }

            TryOpen(path);
        }

        for (var i = _open.Count - 1; i >= 0; i--)
        {
            var file = _open[i];
            file.IsRotated = !present.Contains((file.Fingerprint.Device, file.Fingerprint.Inode));
            file.QuietLooks = file.IsRotated && file.Lines.Behind <= file.Lines.Pending ? file.QuietLooks + 1 : 0;
        }

        _looked = true;
        // What was looked for at the start and not found is gone.
        _known.Clear();
        Publish();
    }

    /// <summary>Whether a rotated file has been quiet for so long that its last line is whole.</summary>
    public static bool IsDone(TailedFile file) => file.IsRotated && file.QuietLooks >= QuietLooksToClose;

    /// <summary>Closes a file that is done.</summary>
    public void Close(TailedFile file)
    {
        _open.Remove(file);
        file.Dispose();
        Publish();
    }

    public void Dispose()
    {
        foreach (var file in _open)
        {
            file.Dispose();
        }

        _open.Clear();
    }

    // At the first look after a restart also files that were renamed meanwhile: rotation keeps the beginning of the name.
    private IReadOnlyList<string> Candidates()
    {
        var listed = files.List();
        if (_looked || _known.Count == 0)
        {
            return listed;
        }

        var renamed = _known.SelectMany(k => Path.GetDirectoryName(k.Path) is { } folder && Directory.Exists(folder)
            ? Directory.EnumerateFiles(folder, Path.GetFileName(k.Path) + "*")
            : []);
        return [.. renamed.Where(IsKnown).Concat(listed).Distinct(StringComparer.Ordinal)];
    }

    private void Publish() => _published = [.. _open.Select(f => f.Fingerprint), .. _known];

    private bool IsKnown(string path) => FileStat.Of(path, follow: true) is { } stat && _known.Exists(k => k.IsSameNode(stat));

    /// <summary>Whether the open file holds something else now: it was truncated and written anew.</summary>
    public static bool WasReplaced(TailedFile file)
    {
        if (file.Lines.Behind < 0)
        {
            return true;
        }

        var head = Fingerprint.HeadOf(file.Lines.File);
        return head.Length < file.Fingerprint.HeadBytes || Fingerprint.Digest(head.AsSpan(0, file.Fingerprint.HeadBytes)) != file.Fingerprint.Head;
    }

    private static void Refresh(TailedFile file, string path)
    {
        if (file.Fingerprint.HeadBytes < Fingerprint.Longest)
        {
            // More of it is known now, so less of another file is taken for it.
            var head = Fingerprint.HeadOf(file.Lines.File);
            var bytes = (int)Math.Min(head.Length, file.Lines.Position);
            if (bytes > file.Fingerprint.HeadBytes)
            {
                file.Fingerprint = file.Fingerprint with { HeadBytes = bytes, Head = Fingerprint.Digest(head.AsSpan(0, bytes)) };
            }
        }

        if (!string.Equals(file.Fingerprint.Path, path, StringComparison.Ordinal))
        {
            file.Fingerprint = file.Fingerprint with { Path = path };
        }
    }

    private void TryOpen(string path)
    {
        Microsoft.Win32.SafeHandles.SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, FileOptions.Asynchronous);
        }
        catch (FileNotFoundException)
        {
            // Renamed between the look and now; the next look finds it.
            return;
        }

        var keep = false;
        try
        {
            if (Fingerprint.StatOf(handle) is not { } stat)
            {
                return;
            }

            var head = Fingerprint.HeadOf(handle);
            if (Recognise(path, stat, head) is not { } print)
            {
                return;
            }

            var next = _next.GetValueOrDefault(print.Partition, print.From);
            keep = true;
            _open.Add(new TailedFile(files.NameOf(path), print, new LineReader(handle, next, options.MaxLineBytes)));
        }
        finally
        {
            if (!keep)
            {
                handle.Dispose();
            }
        }
    }

    // Null while the file has no whole first line to know it by.
    private Fingerprint? Recognise(string path, FileStat stat, byte[] head)
    {
        var old = _known.Find(k => k.IsSameNode(stat) && k.Fits(stat, head)) ?? _known.Find(k => k.Fits(stat, head) && !IsElsewhere(k));
        if (old is not null && stat.Bytes >= _next.GetValueOrDefault(old.Partition))
        {
            _known.Remove(old);
            return old with { Path = path, Device = stat.Device, Inode = stat.Inode };
        }

        var first = head.AsSpan().IndexOf((byte)'\n') + 1;
        if (first == 0 && head.Length < Fingerprint.Longest)
        {
            return null;
        }

        var bytes = first == 0 ? head.Length : first;
        var digest = Fingerprint.Digest(head.AsSpan(0, bytes));
        if (!_looked && !_followedBefore && _next.TryGetValue(files.NameOf(path), out var read) && read <= stat.Bytes)
        {
            // The run before read the same file without following it: it goes on there, and its events keep their names.
            return new Fingerprint(files.NameOf(path), path, stat.Device, stat.Inode, bytes, digest, read);
        }

        var name = $"{files.NameOf(path)}#{digest}";
        for (var n = 2; !_partitions.Add(name); n++)
        {
            name = $"{files.NameOf(path)}#{digest}~{n}";
        }

        var from = _looked || options.StartAt == StartAt.Start ? 0 : stat.Bytes;
        return new Fingerprint(name, path, stat.Device, stat.Inode, bytes, digest, from);
    }

    // A file known by its first bytes alone is not taken over while the one with its number is still there.
    private static bool IsElsewhere(Fingerprint known) =>
        FileStat.Of(known.Path, follow: true) is { } there && known.IsSameNode(there);
}
