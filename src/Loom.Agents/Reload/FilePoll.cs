namespace Loom.Agents.Reload;

/// <summary>Finds what has changed by looking at every file. For when the kernel does not tell.</summary>
internal sealed class FilePoll(string path, WatchFilter filter)
{
    private static readonly EnumerationOptions s_plain = new() { IgnoreInaccessible = true, AttributesToSkip = FileAttributes.ReparsePoint };

    private Dictionary<string, (DateTime Written, long Length)>? _before;

    /// <summary>The files that differ from the last look, relative to the watched folder; none at the first look.</summary>
    internal IReadOnlyList<string> Look()
    {
        var now = new Dictionary<string, (DateTime, long)>(StringComparer.Ordinal);
        try
        {
            Walk(new DirectoryInfo(path), string.Empty, now);
            if (File.Exists(path))
            {
                Take(new FileInfo(path), Path.GetFileName(path), now);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return []; // changed under our eyes: the next look sees it whole
        }

        var before = _before;
        _before = now;
        return before is null ? [] : [.. now.Where(f => !before.TryGetValue(f.Key, out var old) || old != f.Value).Select(f => f.Key).Concat(before.Keys.Where(f => !now.ContainsKey(f)))];
    }

    /// <summary>Every file that counts in a folder below the watched one, or in itself (empty), relative to the watched one.</summary>
    internal static IReadOnlyCollection<string> Files(string path, string below, WatchFilter filter)
    {
        var found = new Dictionary<string, (DateTime, long)>(StringComparer.Ordinal);
        try
        {
            new FilePoll(path, filter).Walk(new DirectoryInfo(Path.Combine(path, below)), below.Length == 0 ? below : below + "/", found);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It goes away again.
        }

        return found.Keys;
    }

    private void Walk(DirectoryInfo folder, string prefix, Dictionary<string, (DateTime, long)> found)
    {
        if (!folder.Exists)
        {
            return;
        }

        foreach (var entry in folder.EnumerateFileSystemInfos("*", s_plain))
        {
            var relative = prefix + entry.Name;
            if (entry is FileInfo file)
            {
                Take(file, relative, found);
            }
            else if (!WatchFilter.IsNever(entry.Name))
            {
                Walk((DirectoryInfo)entry, relative + "/", found);
            }
        }
    }

    private void Take(FileInfo file, string relative, Dictionary<string, (DateTime, long)> found)
    {
        if (filter.Counts(relative))
        {
            found[relative] = (file.LastWriteTimeUtc, file.Length);
        }
    }
}
