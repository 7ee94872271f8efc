using System.Collections.Immutable;

namespace Loom.Node.Provisioning;

/// <summary>Finds programs in the PATH of an environment.</summary>
public static class ToolPath
{
    private const UnixFileMode AnyExecute = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    /// <summary>All executable files of that name, in the order of PATH.</summary>
    public static IEnumerable<string> FindAll(string name, ImmutableDictionary<string, string> environment) =>
        environment.GetValueOrDefault("PATH", "/usr/local/bin:/usr/bin:/bin").Split(':', StringSplitOptions.RemoveEmptyEntries)
            .Where(Path.IsPathRooted)
            .Select(folder => Path.Combine(folder, name))
            .Where(IsExecutable);

    /// <summary>The first one; null when there is none.</summary>
    public static string? Find(string name, ImmutableDictionary<string, string> environment) => FindAll(name, environment).FirstOrDefault();

    /// <summary>Whether the path is a file with an execute bit.</summary>
    public static bool IsExecutable(string path)
    {
        try
        {
            return File.Exists(path) && (File.GetUnixFileMode(path) & AnyExecute) != 0;
        }
        catch (IOException)
        {
            return false;
        }
        catch (UnauthorizedAccessException)
        {
            return false;
        }
    }
}
