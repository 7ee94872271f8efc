namespace Loom.Harness.Architecture;

/// <summary>Where a path leads.</summary>
internal static class RealPath
{
    /// <summary>The longest part that exists is resolved through its links; what does not exist yet is appended to it. Null where a link leads nowhere.</summary>
    /// <exception cref="IOException">Links lead in a circle.</exception>
    public static string? Of(string path)
    {
        var full = Path.GetFullPath(path);
        var rest = "";
        for (var at = full; ; at = Path.GetDirectoryName(at)!)
        {
            FileSystemInfo info = Directory.Exists(at) ? new DirectoryInfo(at) : new FileInfo(at);
            if (info.LinkTarget is not null)
            {
                return info.ResolveLinkTarget(returnFinalTarget: true)?.FullName is { } target ? Of(Path.Combine(target, rest)) : null;
            }

            if (Path.GetDirectoryName(at) is null)
            {
                return full;
            }

            rest = rest.Length == 0 ? Path.GetFileName(at) : Path.Combine(Path.GetFileName(at), rest);
        }
    }

    /// <summary>Whether a path is a folder or lies in it; both without links.</summary>
    public static bool IsBelow(string path, string folder) =>
        path.Equals(folder, StringComparison.Ordinal) || path.StartsWith(folder.TrimEnd('/') + "/", StringComparison.Ordinal);
}
