using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Execution;

/// <summary>
/// Where a system's components may read and write. Paths are relative to the system's folder; links are resolved before anything is judged. Writing is allowed in
/// the folders of <c>policy.security.write_paths</c>, or, where none are named, in the system's folder and its state folder.
/// </summary>
internal sealed class PathGuard
{
    // Nothing a system's files name is read or written there, whoever runs it.
    private static readonly string[] s_never = ["/proc", "/sys", "/dev"];

    private readonly string _directory;
    private readonly string[] _writable;
    private readonly string? _writesTo;

    /// <param name="directory">The system's folder, absolute.</param>
    /// <param name="stateFolder">Its state folder, absolute.</param>
    /// <param name="writePaths">Folders that may be written, relative to the system's folder or absolute.</param>
    /// <param name="writesTo">Folder everything is written into instead, for tests of systems; null: where it says.</param>
    public PathGuard(string directory, string stateFolder, IReadOnlyList<string> writePaths, string? writesTo = null)
    {
        _writesTo = writesTo;
        _directory = directory;
        _writable = writePaths.Count > 0
            ? [.. writePaths.Select(p => Resolve(Path.Combine(directory, p)))]
            : [Resolve(directory), Resolve(stateFolder)];
    }

    public string Read(string path)
    {
        var full = Full(path);
        return s_never.Any(n => RealPath.IsBelow(full, n)) ? throw Refused(path, full, "is not a place for files") : full;
    }

    public string Write(string path)
    {
        var full = Full(path);
        return _writable.Any(w => RealPath.IsBelow(full, w)) && !s_never.Any(n => RealPath.IsBelow(full, n))
            ? Written(full)
            : throw Refused(path, full, $"may not be written: writable are {string.Join(", ", _writable)} (policy.security.write_paths)");
    }

    // The same folders below another one; what lies outside the system's folder, under its whole path.
    private string Written(string full)
    {
        if (_writesTo is null)
        {
            return full;
        }

        var system = Resolve(_directory);
        var instead = Path.Combine(_writesTo, RealPath.IsBelow(full, system) ? Path.GetRelativePath(system, full) : full.TrimStart('/'));
        Directory.CreateDirectory(Path.GetDirectoryName(instead)!);
        return instead;
    }

    private string Full(string path)
    {
        if (path.Contains('\0', StringComparison.Ordinal))
        {
            throw new ItemException("path_refused", "a path holds a NUL character");
        }

        return Resolve(Path.Combine(_directory, path));
    }

    private static string Resolve(string path) =>
        RealPath.Of(path) ?? throw new ItemException("path_refused", $"{path} leads through a link that leads nowhere");

    private static ItemException Refused(string asked, string full, string why) => new("path_refused", $"{asked} ({full}) {why}");
}
