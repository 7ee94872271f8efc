using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Discovery;

/// <summary>What the choice of an interpreter depends on.</summary>
/// <param name="ProjectFolder">Absolute project folder.</param>
/// <param name="Python"><c>runtime.python</c>, or null.</param>
/// <param name="Environment">Environment of the child: its PATH and VIRTUAL_ENV count.</param>
/// <param name="Files">The disk.</param>
internal sealed record InterpreterWorld(string ProjectFolder, string? Python, IReadOnlyDictionary<string, string> Environment, ISettingsFiles Files);

/// <summary>How a script is run, told by its extension.</summary>
internal static class Interpreters
{
    private const string DefaultPath = "/usr/local/bin:/usr/bin:/bin";

    /// <summary>The argument vector that runs a script, without its arguments; null with the reason when nothing can run it.</summary>
    public static ImmutableArray<string>? Command(string script, InterpreterWorld world, out (string Message, string Fix) missing)
    {
        missing = default;
        switch (Path.GetExtension(script))
        {
            case ".py":
                return Python(script, world, out missing) is { } python ? [.. python, script] : null;
            case ".js" or ".mjs" or ".cjs":
                return Found("node", world, "Node.js", out missing) is { } node ? [node, script] : null;
            case ".ts":
                return TypeScript(script, world, out missing);
            case ".cs":
                return Found("dotnet", world, "the .NET SDK", out missing) is { } runner ? [runner, "run", "--file", script] : null;
            case ".csproj":
                return Found("dotnet", world, "the .NET SDK", out missing) is { } sdk ? [sdk, "run", "--project", script] : null;
            case ".dll":
                return Found("dotnet", world, "the .NET runtime", out missing) is { } dotnet ? [dotnet, script] : null;
            case ".sh":
                return ["/bin/sh", script];
        }

        if (world.Files.IsExecutable(script) && HasShebang(world.Files, script))
        {
            return [script];
        }

        var extension = Path.GetExtension(script);
        missing = extension.Length == 0
            ? ("no interpreter is known for it: it has no extension, and is not an executable file that begins with #!", $"chmod +x {Path.GetFileName(script)}, or command = [..]")
            : ($"no interpreter is known for {extension}", $"command = [\"PROGRAM\", \"{Path.GetFileName(script)}\"]");
        return null;
    }

    /// <summary>The program and options that run Python code; null with the reason when there is none.</summary>
    public static ImmutableArray<string>? Python(string script, InterpreterWorld world, out (string Message, string Fix) missing)
    {
        missing = default;
        if (world.Python is { } chosen)
        {
            var path = chosen.Contains('/', StringComparison.Ordinal) ? Path.GetFullPath(chosen, world.ProjectFolder) : Search(chosen, world);
            if (path is not null && world.Files.IsExecutable(path))
            {
                return [path];
            }

            missing = ($"there is no program {chosen} (runtime.python)", "install it, or set runtime.python to the path of an interpreter");
            return null;
        }

        foreach (var folder in (IEnumerable<string?>)[Path.GetDirectoryName(script), world.ProjectFolder])
        {
            foreach (var name in (IEnumerable<string>)[".venv", "venv"])
            {
                if (folder is not null && Path.Combine(folder, name, "bin", "python") is var own && world.Files.IsExecutable(own))
                {
                    return [own];
                }
            }
        }

        if (world.Environment.TryGetValue("VIRTUAL_ENV", out var environment) && environment.Length > 0
            && Path.Combine(environment, "bin", "python") is var active && world.Files.IsExecutable(active))
        {
            return [active];
        }

        if (world.Files.Exists(Path.Combine(world.ProjectFolder, "uv.lock")) && Search("uv", world) is { } uv)
        {
            return [uv, "run", "--project", world.ProjectFolder, "python"];
        }

        return Found("python3", world, "Python 3", out missing) is { } python ? [python] : null;
    }

    /// <summary>Whether a file begins with <c>#!</c>.</summary>
    public static bool HasShebang(ISettingsFiles files, string path) => files.Read(path) is { Error: null } file && file.Content.Span.StartsWith("#!"u8);

    /// <summary>Absolute path of a program of the child's PATH, or null.</summary>
    public static string? Search(string program, InterpreterWorld world)
    {
        foreach (var folder in (world.Environment.GetValueOrDefault("PATH") ?? DefaultPath).Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            if (Path.Combine(Path.GetFullPath(folder, world.ProjectFolder), program) is var path && world.Files.IsExecutable(path))
            {
                return path;
            }
        }

        return null;
    }

    private static string? Found(string program, InterpreterWorld world, string what, out (string Message, string Fix) missing)
    {
        var path = Search(program, world);
        missing = path is null ? ($"there is no {program} on PATH", $"install {what}, or write command = [..]") : default;
        return path;
    }

    // Node strips types by itself from 22.6; older ones refuse the option and say so.
    private static ImmutableArray<string>? TypeScript(string script, InterpreterWorld world, out (string Message, string Fix) missing)
    {
        missing = default;
        foreach (var folder in (IEnumerable<string?>)[Path.GetDirectoryName(script), world.ProjectFolder])
        {
            if (folder is not null && Path.Combine(folder, "node_modules", ".bin", "tsx") is var tsx && world.Files.IsExecutable(tsx))
            {
                return [tsx, script];
            }
        }

        return Found("node", world, "Node.js 22.6 or newer", out missing) is { } node ? [node, "--experimental-strip-types", "--disable-warning=ExperimentalWarning", script] : null;
    }
}
