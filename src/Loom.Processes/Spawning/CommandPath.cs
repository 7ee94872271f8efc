using Loom.Processes.Native;

namespace Loom.Processes.Spawning;

/// <summary>Finds the program a command names, as the child's shell would: by the child's PATH and from the child's folder.</summary>
internal static class CommandPath
{
    private const string DefaultPath = "/usr/local/bin:/usr/bin:/bin";

    /// <summary>Absolute path of an executable file.</summary>
    /// <param name="command">A path, or a bare name to look up.</param>
    /// <param name="folder">Absolute working folder of the child.</param>
    /// <param name="path">The child's PATH; null = the system's default.</param>
    /// <exception cref="SpawnException">Nothing there, or not executable.</exception>
    internal static string Resolve(string command, string folder, string? path)
    {
        if (command.Length == 0)
        {
            throw new SpawnException("the command is empty: name a program", permanent: true);
        }

        if (command.Contains('/', StringComparison.Ordinal))
        {
            return Check(Path.GetFullPath(command, folder), command);
        }

        string? refused = null;
        foreach (var part in (path ?? DefaultPath).Split(':'))
        {
            var candidate = Path.Combine(Path.GetFullPath(part.Length == 0 ? "." : part, folder), command);
            if (!File.Exists(candidate))
            {
                continue;
            }

            if (Libc.Access(candidate, Linux.ExecutePermission) == 0)
            {
                return candidate;
            }

            refused ??= candidate;
        }

        throw refused is null
            ? new SpawnException($"command '{command}' not found in PATH ({path ?? DefaultPath}): install it, or give its path", permanent: true)
            : new SpawnException($"command '{command}' was found as '{refused}', but that file is not executable: chmod +x '{refused}'", permanent: true);
    }

    /// <summary>A program of the system, looked for where the system keeps them; null when it is not there.</summary>
    internal static string? Find(string program) =>
        DefaultPath.Split(':').Select(p => Path.Combine(p, program)).FirstOrDefault(p => Libc.Access(p, Linux.ExecutePermission) == 0);

    private static string Check(string file, string command)
    {
        if (Directory.Exists(file))
        {
            throw new SpawnException($"command '{command}' is a folder ('{file}'): name a program in it", permanent: true);
        }

        if (!File.Exists(file))
        {
            throw new SpawnException($"command '{command}' not found: there is no file '{file}'", permanent: true);
        }

        return Libc.Access(file, Linux.ExecutePermission) == 0
            ? file
            : throw new SpawnException($"command '{command}' is not executable: chmod +x '{file}'", permanent: true);
    }
}
