using System.Globalization;
using Loom.Core.Storage;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>
/// Whole files that wait for a checkpoint. Each is written to the staging folder; a flush makes them durable, the checkpoint keeps where each goes, the commit moves them there in order. A
/// file that is no longer staged has been moved, so a commit can be repeated.
/// </summary>
internal sealed class FileStaging(string folder)
{
    private readonly List<StagedFile> _files = [];
    private long _next;
    private int _sealed;
    private int _inCheckpoint;
    private bool _begun;

    /// <summary>Files that wait.</summary>
    public int Count => _files.Count;

    /// <summary>Stages a file.</summary>
    /// <param name="path">Where it goes.</param>
    /// <param name="content">What it holds.</param>
    /// <param name="ct">Gives up.</param>
    public async ValueTask AddAsync(string path, ReadOnlyMemory<byte> content, CancellationToken ct)
    {
        Begin();
        var file = new StagedFile(_next, path);
        using (var handle = File.OpenHandle(NameOf(file), FileMode.Create, FileAccess.Write, FileShare.None, FileOptions.Asynchronous))
        {
            await RandomAccess.WriteAsync(handle, content, 0, ct).ConfigureAwait(false);
        }

        _next++;
        _files.Add(file);
    }

    /// <summary>Makes what is staged durable.</summary>
    public void Seal()
    {
        if (_sealed == _files.Count)
        {
            return;
        }

        for (var i = _sealed; i < _files.Count; i++)
        {
            using var handle = File.OpenHandle(NameOf(_files[i]), FileMode.Open, FileAccess.Write);
            RandomAccess.FlushToDisk(handle);
        }

        DurableFile.FlushFolder(folder);
        _sealed = _files.Count;
    }

    /// <summary>What a checkpoint keeps.</summary>
    public StagedFiles Snapshot()
    {
        _inCheckpoint = _sealed;
        return new StagedFiles(_next, _sealed, [.. _files]);
    }

    /// <summary>Puts the files of the last snapshot where they go.</summary>
    public void Commit()
    {
        Move(_inCheckpoint);
        _inCheckpoint = 0;
    }

    /// <summary>Goes on from a checkpoint: its files are moved, and what was staged after it goes, since its events come again.</summary>
    public void Restore(StagedFiles state)
    {
        _next = state.Next;
        _files.AddRange(state.Files);
        Begin(_files.Select(NameOf).ToHashSet(StringComparer.Ordinal));
        _sealed = state.Sealed;
        Move(_sealed);
    }

    /// <summary>Writes a file beside its place and moves it there.</summary>
    /// <param name="path">Its place.</param>
    /// <param name="write">Writes the file of the name it is given.</param>
    public static void Replace(string path, Action<string> write)
    {
        var home = Path.GetDirectoryName(path)!;
        Directory.CreateDirectory(home);
        var temp = Path.Combine(home, $".{Path.GetFileName(path)}.{Guid.NewGuid():N}.tmp");
        try
        {
            write(temp);
            File.Move(temp, path, overwrite: true);
        }
        catch
        {
            File.Delete(temp);
            throw;
        }
    }

    private void Move(int count)
    {
        var homes = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < count; i++)
        {
            var staged = NameOf(_files[i]);
            if (!File.Exists(staged))
            {
                continue;
            }

            var home = Path.GetDirectoryName(_files[i].Path)!;
            Directory.CreateDirectory(home);
            homes.Add(home);
            if (FileStat.Of(staged, follow: false)?.Device == FileStat.Of(home, follow: true)?.Device)
            {
                File.Move(staged, _files[i].Path, overwrite: true);
            }
            else
            {
                // Another disk: nothing can be moved there in one step, so it is copied beside its place first.
                Replace(_files[i].Path, temp => CopyDurably(staged, temp));
                File.Delete(staged);
            }
        }

        foreach (var home in homes)
        {
            DurableFile.FlushFolder(home);
        }

        _files.RemoveRange(0, count);
        _sealed -= count;
    }

    private static void CopyDurably(string from, string to)
    {
        File.Copy(from, to);
        using var copy = File.OpenHandle(to, FileMode.Open, FileAccess.Write);
        RandomAccess.FlushToDisk(copy);
    }

    private void Begin(HashSet<string>? except = null)
    {
        if (_begun)
        {
            return;
        }

        _begun = true;
        Directory.CreateDirectory(folder);
        foreach (var old in Directory.EnumerateFiles(folder, "*.file"))
        {
            if (except?.Contains(old) != true)
            {
                File.Delete(old);
            }
        }
    }

    private string NameOf(StagedFile file) => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{file.Number}.file"));
}
