using System.Security.Cryptography;
using System.Text;
using Loom.Core.Storage;
using Loom.Processes.Guarding;

namespace Loom.Agents.Project;

/// <summary>
/// Where a running project keeps its state: <c>.loom/run</c>, mode 0700. Every file in it is created with its mode spelled out, so the umask of the process,
/// which children inherit, stays as the user set it.
/// </summary>
public sealed class RunDirectory
{
    // sun_path holds 108 bytes with its final zero.
    private const int LongestSocketPath = 107;

    private RunDirectory(string projectFolder)
    {
        Project = projectFolder;
        Path = System.IO.Path.Combine(projectFolder, ".loom", "run");
        Socket = SocketPath(Path);
    }

    /// <summary>Absolute path of the project folder.</summary>
    public string Project { get; }

    /// <summary>Absolute path of <c>.loom/run</c>.</summary>
    public string Path { get; }

    /// <summary>flock on it is the one truth about whether a runtime is alive.</summary>
    public string Lock => System.IO.Path.Combine(Path, "lock");

    public string State => System.IO.Path.Combine(Path, "state.json");

    public string Token => System.IO.Path.Combine(Path, "token");

    /// <summary>Control socket; outside <see cref="Path"/> when that would be too long for a socket.</summary>
    public string Socket { get; }

    public string GuardianLock => Guardian.LockPath(Path);

    /// <summary>The configuration of this run, without secrets.</summary>
    public string Config => System.IO.Path.Combine(Path, "config.json");

    /// <summary>Where a guardian's report is kept once it was read: the next run's files must not take it away.</summary>
    public string KeptReport => System.IO.Path.Combine(Project, ".loom", "logs", "guardian.report");

    public string GuardianReport => Guardian.ReportPath(Path);

    public bool Exists => Directory.Exists(Path);

    /// <summary>Names the directory without touching it.</summary>
    public static RunDirectory Of(string projectFolder) => new(System.IO.Path.GetFullPath(projectFolder));

    /// <summary>Creates the directory, or checks the one that is there.</summary>
    /// <exception cref="IOException">It is a link or belongs to another user.</exception>
    public static RunDirectory Prepare(string projectFolder)
    {
        var directory = Of(projectFolder);
        Directory.CreateDirectory(System.IO.Path.Combine(directory.Project, ".loom"));
        PrivateFolder.Check(System.IO.Path.Combine(directory.Project, ".loom"));
        PrivateFolder.Ensure(directory.Path);
        var socketFolder = System.IO.Path.GetDirectoryName(directory.Socket)!;
        if (socketFolder != directory.Path)
        {
            PrivateFolder.Ensure(socketFolder);
        }

        return directory;
    }

    /// <summary>Writes a new random token, 64 hexadecimal digits, mode 0600.</summary>
    /// <returns>The token.</returns>
    public string CreateToken()
    {
        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        DurableFile.Write(Token, Encoding.ASCII.GetBytes(token + "\n"));
        return token;
    }

    /// <summary>Reads the token of the running runtime; null when there is none.</summary>
    public string? ReadToken()
    {
        try
        {
            return File.ReadAllText(Token).Trim();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    /// <summary>Removes what one run wrote. The lock files stay: a deleted lock file can be locked twice.</summary>
    public void RemoveRunFiles()
    {
        foreach (var file in new[] { Socket, Token, State, Config })
        {
            try
            {
                File.Delete(file);
            }
            catch (DirectoryNotFoundException)
            {
            }
        }
    }

    /// <summary>Moves the report of a guardian that had to act to <see cref="KeptReport"/>.</summary>
    /// <returns>Its text; null when there is none.</returns>
    internal string? KeepGuardianReport()
    {
        if (!File.Exists(GuardianReport))
        {
            return null;
        }

        var text = File.ReadAllText(GuardianReport).Trim();
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(KeptReport)!);
        File.Move(GuardianReport, KeptReport, overwrite: true);
        return text;
    }

    private static string SocketPath(string path)
    {
        var usual = System.IO.Path.Combine(path, "loom.sock");
        if (Encoding.UTF8.GetByteCount(usual) <= LongestSocketPath)
        {
            return usual;
        }

        // Named by the folder, so that every command finds the same one.
        var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(path)))[..16];
        var runtime = Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR");
        return System.IO.Path.Combine(
            string.IsNullOrEmpty(runtime) ? System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"loom-{PrivateFolder.User}") : System.IO.Path.Combine(runtime, "loom"),
            $"{name}.sock");
    }
}
