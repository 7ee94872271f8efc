using System.Collections.Immutable;
using Loom.Processes.Guarding;

namespace Loom.Agents.Project;

/// <summary>The projects of this user that run now, wherever they lie: found by the locks that runtimes and guardians hold, not by a list that could be old.</summary>
public static class LiveProjects
{
    private static readonly string s_runLock = Path.Combine(".loom", "run", "lock");

    /// <summary>Run directories whose runtime or guardian lives.</summary>
    public static ImmutableArray<RunDirectory> Find()
    {
        var guardianLock = Guardian.LockPath(Path.Combine(".loom", "run"));
        var folders = new SortedSet<string>(StringComparer.Ordinal);
        foreach (var path in RunLocks.Open(p => Ends(p, s_runLock) || Ends(p, guardianLock)))
        {
            folders.Add(path[..^((Ends(path, s_runLock) ? s_runLock : guardianLock).Length + 1)]);
        }

        return [.. folders.Select(RunDirectory.Of).Where(d => d.Exists)];
    }

    /// <summary>Ids of the runs of <paramref name="projects"/>, as far as their state can be read.</summary>
    public static ImmutableHashSet<string> RunsOf(IEnumerable<RunDirectory> projects)
    {
        var runs = ImmutableHashSet.CreateBuilder<string>(StringComparer.Ordinal);
        foreach (var project in projects)
        {
            try
            {
                if (RunState.Read(project.State) is { } state)
                {
                    runs.Add(state.RunId);
                }
            }
            catch (Exception e) when (e is IOException or InvalidDataException or UnauthorizedAccessException)
            {
                // Its processes hang below its runtime, which is the other thing that spares them.
            }
        }

        return runs.ToImmutable();
    }

    private static bool Ends(string path, string with) => path.EndsWith(Path.DirectorySeparatorChar + with, StringComparison.Ordinal);
}
