using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Processes.Cgroups;

/// <summary>
/// The group of one run, below the group this program is in, with a group for each child. What is in a child's group belongs to it whatever it did to its
/// parents, session or environment; and one write kills all of it.
/// </summary>
internal sealed class RunGroup
{
    private const string OwnGroup = "loom";

    private readonly string _parent;
    private readonly bool _moved;

    private RunGroup(string parent, string folder, ImmutableArray<string> controllers, bool moved)
    {
        _parent = parent;
        Folder = folder;
        Controllers = controllers;
        _moved = moved;
    }

    /// <summary>Its folder.</summary>
    internal string Folder { get; }

    /// <summary>What can be limited in the groups of children.</summary>
    internal ImmutableArray<string> Controllers { get; }

    /// <summary>Makes the group of a run.</summary>
    /// <param name="parent">Folder of the group this program is in.</param>
    /// <param name="runId">Its run.</param>
    /// <param name="trouble">Why not, when the answer is null.</param>
    internal static RunGroup? Make(string parent, string runId, out string? trouble)
    {
        var folder = Path.Combine(parent, CgroupPaths.RunFolder(runId));
        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            trouble = $"cannot make the group '{folder}': {e.Message}";
            return null;
        }

        trouble = null;
        var wanted = CgroupFile.Words(Path.Combine(parent, "cgroup.controllers")).Intersect(["memory", "pids", "cpu"]).ToImmutableArray();
        if (wanted.IsEmpty)
        {
            return new RunGroup(parent, folder, [], moved: false);
        }

        var moved = false;
        var refused = Enable(parent, wanted);
        if (refused is not null)
        {
            // A group with processes of its own cannot hand controllers down: we step aside into a leaf. If others are in it, that does not help, and we return.
            var leaf = Path.Combine(folder, OwnGroup);
            Directory.CreateDirectory(leaf);
            moved = Enter(leaf, Environment.ProcessId) is null;
            refused = Enable(parent, wanted);
            if (refused is not null && moved)
            {
                moved = Enter(parent, Environment.ProcessId) is not null;
            }
        }

        return new RunGroup(parent, folder, refused is null && Enable(folder, wanted) is null ? wanted : [], moved);
    }

    /// <summary>The group of one child, made anew or found.</summary>
    /// <exception cref="IOException">It cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">It cannot be made.</exception>
    internal ChildGroup Child(string name) => new(Directory.CreateDirectory(Path.Combine(Folder, CgroupPaths.ChildFolder(name))).FullName);

    /// <summary>Takes the empty groups away and returns us to where we were.</summary>
    internal void Remove()
    {
        if (_moved)
        {
            _ = Enter(_parent, Environment.ProcessId);
        }

        Remove(Folder);
    }

    /// <summary>The children's groups of a run whose supervisor may be gone.</summary>
    internal static ImmutableArray<ChildGroup> ChildrenOf(string folder)
    {
        try
        {
            return [.. Directory.EnumerateDirectories(folder, CgroupPaths.ChildFolder("*")).Select(f => new ChildGroup(f))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>Removes a run's groups as far as they are empty.</summary>
    internal static void Remove(string folder)
    {
        try
        {
            foreach (var below in Directory.EnumerateDirectories(folder, "*", SearchOption.AllDirectories).OrderByDescending(f => f.Length))
            {
                ChildGroup.RemoveFolder(below);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // gone already, or not ours
        }

        ChildGroup.RemoveFolder(folder);
    }

    private static string? Enter(string folder, int pid) =>
        CgroupFile.Write(Path.Combine(folder, "cgroup.procs"), pid.ToString(CultureInfo.InvariantCulture));

    private static string? Enable(string folder, ImmutableArray<string> controllers) =>
        CgroupFile.Write(Path.Combine(folder, "cgroup.subtree_control"), string.Join(' ', controllers.Select(c => "+" + c)));
}
