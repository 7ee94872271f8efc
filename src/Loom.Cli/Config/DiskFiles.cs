using Loom.Core.Settings;
using Loom.Core.Toml;

namespace Loom.Cli.Config;

/// <summary>The files of a load, on disk.</summary>
internal sealed class DiskFiles : ISettingsFiles
{
    public SettingsFile? Read(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, bufferSize: 1);

            // One byte more than any reader accepts tells it that the file is too large, without reading a disk image into memory.
            var content = new byte[(int)Math.Min(Math.Max(stream.Length, 4096), TomlParser.MaxBytes + 1)];
            var read = stream.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            return new SettingsFile(content.AsMemory(0, read), OthersCanRead: (File.GetUnixFileMode(stream.SafeFileHandle) & UnixFileMode.OtherRead) != 0);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException) when (Directory.Exists(path))
        {
            return new SettingsFile(default, Error: "is a folder, not a file");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new SettingsFile(default, Error: $"cannot be read: {e.Message}");
        }
    }

    public bool Exists(string path) => Path.Exists(path) && LeadsSomewhere(new FileInfo(path));

    public string RealPath(string path)
    {
        var real = "/";
        foreach (var part in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            real = Path.Combine(real, part);
            var item = new FileInfo(real);
            real = (item.LinkTarget is null ? null : item.ResolveLinkTarget(returnFinalTarget: true)?.FullName) ?? real; // only a link that is there can be followed
        }

        return real;
    }

    public bool OthersCanWrite(string path) => (File.GetUnixFileMode(path) & UnixFileMode.OtherWrite) != 0;

    public string? OpenMode(string path)
    {
        var mode = File.GetUnixFileMode(path);
        return (mode & (UnixFileMode.GroupRead | UnixFileMode.OtherRead)) != 0 ? Convert.ToString((int)mode, 8) : null;
    }

    public IReadOnlyList<FolderItem>? List(string folder)
    {
        try
        {
            return [.. new DirectoryInfo(folder).EnumerateFileSystemInfos().Where(LeadsSomewhere)
                .Select(i => new FolderItem(i.Name, i is DirectoryInfo || Directory.Exists(i.FullName)))];
        }
        catch (DirectoryNotFoundException)
        {
            return null;
        }
        catch (UnauthorizedAccessException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    public bool IsExecutable(string path)
    {
        const UnixFileMode Anybody = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        try
        {
            return File.Exists(path) && (File.GetUnixFileMode(path) & Anybody) != 0;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    // A link counts as existing to the platform, whatever it points to.
    private static bool LeadsSomewhere(FileSystemInfo item)
    {
        try
        {
            return item.LinkTarget is null || (item.ResolveLinkTarget(returnFinalTarget: true) is { } target && Path.Exists(target.FullName));
        }
        catch (IOException)
        {
            return false; // a circle of links
        }
    }
}
