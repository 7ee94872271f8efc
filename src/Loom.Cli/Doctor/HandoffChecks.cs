namespace Loom.Cli.Doctor;

/// <summary>The folder in which prepared engines are handed over: whoever may write there starts programs here.</summary>
internal static class HandoffChecks
{
    /// <summary>Whether the folder is there, ours and closed to others.</summary>
    public static Check Run(string folder)
    {
        const string Name = "handoff folder";
        if (!Directory.Exists(folder))
        {
            return File.Exists(folder)
                ? new Check("project", Name, CheckStatus.Fail, $"{folder} is a file", "remove it, or set serving.node.runtime_dir")
                : new Check("project", Name, CheckStatus.Pass, $"{folder} (made when it is needed)");
        }

        try
        {
            _ = Directory.EnumerateFileSystemEntries(folder).Any();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return new Check("project", Name, CheckStatus.Fail, $"{folder} cannot be read: {e.Message}", $"chown it to this user, or set serving.node.runtime_dir");
        }

        var mode = File.GetUnixFileMode(folder);
        if ((mode & (UnixFileMode.GroupWrite | UnixFileMode.OtherWrite)) != 0)
        {
            return new Check("project", Name, CheckStatus.Fail, $"other users can write to {folder} (mode {Octal(mode)}), so they could start programs here", $"chmod go-w {folder}");
        }

        var quarantined = Directory.Exists(Path.Combine(folder, "quarantine")) ? Directory.EnumerateFiles(Path.Combine(folder, "quarantine"), "*.reason.txt").Count() : 0;
        if (quarantined > 0)
        {
            return new Check("project", Name, CheckStatus.Warning, $"{quarantined} refused file(s) in {folder}/quarantine", "read the .reason.txt beside each, mend or delete them");
        }

        return (mode & (UnixFileMode.GroupRead | UnixFileMode.OtherRead)) != 0
            ? new Check("project", Name, CheckStatus.Warning, $"others can read {folder} (mode {Octal(mode)})", $"chmod 700 {folder}")
            : new Check("project", Name, CheckStatus.Pass, folder);
    }

    private static string Octal(UnixFileMode mode) => Convert.ToString((int)mode, 8);
}
