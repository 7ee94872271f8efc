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

    private IReadOnlyList<string> _files = [SystemLoader.ArchitectureFile, deployment ?? SystemLoader.DeploymentFile];
    private IReadOnlyList<string> _projects = [];
    private Dictionary<string, (DateTime, long)> _seen = [];

    /// <summary>What is on disk now counts as known.</summary>
    public void Look() => _seen = Stamps();

    /// <summary>The files of a system that was loaded; those of one that is wrong stay what they were.</summary>
    public void Take(SystemPlan plan)
    {
        _files =
        [
            SystemLoader.ArchitectureFile, deployment ?? SystemLoader.DeploymentFile,
            .. plan.Schemas.Values.Select(s => s.File).OfType<string>(),
            .. plan.Components.SelectMany(c => c.Uses.Command?.Files ?? []),
            .. plan.Components.Select(c => c.Uses.Assembly).OfType<string>(),
        ];
        _projects = [.. plan.Components.Select(c => c.Uses.Project).OfType<string>().Distinct(StringComparer.Ordinal)];
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

    private static bool Same(Dictionary<string, (DateTime, long)> one, Dictionary<string, (DateTime, long)> other) =>
        one.Count == other.Count && one.All(o => other.TryGetValue(o.Key, out var stamp) && stamp == o.Value);

    private Dictionary<string, (DateTime, long)> Stamps()
    {
        var stamps = new Dictionary<string, (DateTime, long)>(StringComparer.Ordinal);
        var sources = _projects.SelectMany(p =>
        {
            var folder = Path.GetDirectoryName(p) ?? "";
            return ProjectSources.In(DiskSystemFiles.Instance, Path.GetFullPath(folder, directory)).Select(f => Path.Combine(folder, f));
        });
        foreach (var file in _files.Concat(sources))
        {
            var info = new FileInfo(Path.GetFullPath(file, directory));
            if (info.Exists)
            {
                stamps[file] = (info.LastWriteTimeUtc, info.Length);
            }
        }

        return stamps;
    }
}
