using Loom.Harness.Architecture;
using Loom.Harness.Components.Classes;

namespace Loom.Cli.Harness;

/// <summary>
/// Tells when a file of a system has changed: architecture, deployment, schemas, files of commands, sources of projects. Looked at by time and length again and again, which holds for every
/// way an editor saves and for every file system.
/// </summary>
internal sealed class WatchedFiles(string directory, string? deployment, TimeProvider time)
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    // What a save or a checkout touches comes together.
    private static readonly TimeSpan s_quiet = TimeSpan.FromMilliseconds(300);

    private readonly string[] _always = [SystemLoader.ArchitectureFile, deployment ?? SystemLoader.DeploymentFile];
    private NamedFiles _named = new([], []);
    private Dictionary<string, Stamp> _seen = [];

    /// <summary>What is on disk now counts as known. The files an architecture names are watched however wrong it is otherwise; one whose text cannot be read changes nothing about which they are.</summary>
    public void Look()
    {
        _seen = Stamps();
        _named = NamedFiles.In(directory) ?? _named;
        foreach (var (file, stamp) in Stamps())
        {
            _seen.TryAdd(file, stamp);
        }
    }

    /// <summary>Waits until something has changed and then nothing more for 300 ms.</summary>
    /// <returns>What has changed, relative to the system's folder.</returns>
    public async Task<IReadOnlyList<string>> ChangedAsync(CancellationToken ct)
    {
        var before = _seen;
        while (true)
        {
            await Task.Delay(s_look, time, ct).ConfigureAwait(false);
            var now = Stamps();
            if (Same(before, now))
            {
                continue;
            }

            for (var quiet = time.GetTimestamp(); time.GetElapsedTime(quiet) < s_quiet;)
            {
                await Task.Delay(s_look, time, ct).ConfigureAwait(false);
                var later = Stamps();
                if (!Same(now, later))
                {
                    (now, quiet) = (later, time.GetTimestamp());
                }
            }

            var changed = before.Keys.Union(now.Keys).Where(f => !before.TryGetValue(f, out var old) || !now.TryGetValue(f, out var stamp) || old != stamp).Order(StringComparer.Ordinal).ToList();
            if (changed.Count > 0)
            {
                return changed;
            }
        }
    }

    private static bool Same(Dictionary<string, Stamp> one, Dictionary<string, Stamp> other) =>
        one.Count == other.Count && one.All(o => other.TryGetValue(o.Key, out var stamp) && stamp == o.Value);

    private Dictionary<string, Stamp> Stamps()
    {
        var stamps = new Dictionary<string, Stamp>(StringComparer.Ordinal);
        var sources = _named.Projects.Select(p => Path.GetDirectoryName(p) ?? "").Where(f => Directory.Exists(Path.GetFullPath(f, directory)))
            .SelectMany(folder => ProjectSources.In(DiskSystemFiles.Instance, Path.GetFullPath(folder, directory)).Select(f => Path.Combine(folder, f)));
        foreach (var file in _always.Concat(_named.Files).Concat(sources))
        {
            var info = new FileInfo(Path.GetFullPath(file, directory));
            if (info.Exists)
            {
                // A program that could not be run may be mended by its mode alone.
                stamps[file] = new Stamp(info.LastWriteTimeUtc, info.Length, info.UnixFileMode);
            }
        }

        return stamps;
    }

    private readonly record struct Stamp(DateTime Written, long Length, UnixFileMode Mode);
}
