using Loom.Core.Storage;

namespace Loom.Harness.Architecture;

/// <inheritdoc />
internal sealed class DiskSystemFiles : ISystemFiles
{
    public static DiskSystemFiles Instance { get; } = new();

    /// <inheritdoc />
    public FileRead Read(string path, long limit)
    {
        try
        {
            if (Directory.Exists(path))
            {
                return new FileRead(null, false, "it is a folder");
            }

            var info = new FileInfo(path);
            if (!info.Exists)
            {
                return new FileRead(null, true, null);
            }

            // A pipe or a device could be read for ever.
            if (FileFacts.Of(info.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? path) is not { Kind: FileKind.Regular })
            {
                return new FileRead(null, false, "it is no regular file");
            }

            return info.Length > limit
                ? new FileRead(null, false, $"it has {info.Length} bytes; at most {limit} are read")
                : new FileRead(File.ReadAllBytes(path), false, null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new FileRead(null, false, e.Message);
        }
    }

    /// <inheritdoc />
    public bool Exists(string path) => Path.Exists(path);

    /// <inheritdoc />
    public string? Resolve(string path)
    {
        try
        {
            return RealPath.Of(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <inheritdoc />
    public bool IsExecutable(string path)
    {
        const UnixFileMode Execute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        return File.Exists(path) && (File.GetUnixFileMode(path) & Execute) != 0;
    }

    /// <inheritdoc />
    public IReadOnlyList<string> FilesBelow(string folder, IReadOnlyCollection<string> without)
    {
        var found = new List<string>();
        var open = new Stack<string>([folder]);
        while (open.TryPop(out var each))
        {
            found.AddRange(Directory.EnumerateFiles(each).Select(f => Path.GetRelativePath(folder, f)));
            foreach (var below in Directory.EnumerateDirectories(each).Where(d => !without.Contains(Path.GetFileName(d)) && new DirectoryInfo(d).LinkTarget is null))
            {
                open.Push(below);
            }
        }

        return found;
    }
}
