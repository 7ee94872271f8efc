using System.Collections;
using System.CommandLine;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary>What a verb gets besides its own options.</summary>
public sealed record VerbContext
{
    public required Terminal.Terminal Terminal { get; init; }

    /// <summary>Value of <c>--project</c> (or LOOM_PROJECT), as written; null = look upwards.</summary>
    public string? ProjectOption { get; init; }

    /// <summary><c>--set KEY=VALUE</c> items, as written.</summary>
    public required IReadOnlyList<string> Set { get; init; }

    /// <summary>The process environment, read once.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    public required string WorkingDirectory { get; init; }

    /// <summary>Path of the running executable, for children that are <c>loom</c> themselves.</summary>
    public required string Executable { get; init; }

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// The project's folder: <c>--project</c>, LOOM_PROJECT, else the nearest one upwards that holds a <c>loom.toml</c> or a running project's <c>.loom</c>.
    /// Reads no file, so that verbs which only look at run state work with a broken one.
    /// </summary>
    /// <exception cref="CliError">There is none.</exception>
    public string ProjectFolder()
    {
        if (ProjectOption is not null)
        {
            var folder = Path.GetFullPath(ProjectOption, WorkingDirectory);
            return Directory.Exists(folder) ? folder : throw new CliError(ExitCode.Usage, "NO_PROJECT", $"--project: there is no folder {folder}");
        }

        for (var folder = new DirectoryInfo(WorkingDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "loom.toml")) || Directory.Exists(Path.Combine(folder.FullName, ".loom", "run")))
            {
                return folder.FullName;
            }
        }

        throw new CliError(ExitCode.Usage, "NO_PROJECT", $"there is no loom.toml in {WorkingDirectory} or above it", "loom init, or name a project with -C DIR");
    }

    /// <summary>Reads the process's surroundings; the only place that does.</summary>
    public static VerbContext FromProcess(ParseResult parse)
    {
        var environment = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (DictionaryEntry entry in System.Environment.GetEnvironmentVariables())
        {
            environment[(string)entry.Key] = (string?)entry.Value ?? "";
        }

        var json = parse.GetValue(GlobalOptions.Json);
        var color = !json && !parse.GetValue(GlobalOptions.NoColor) && !environment.ContainsKey("NO_COLOR");
        return new VerbContext
        {
            Terminal = new Terminal.Terminal
            {
                Out = new LossyWriter(Console.Out),
                Err = new LossyWriter(Console.Error),
                In = Console.In,
                OutIsTerminal = !Console.IsOutputRedirected,
                ErrIsTerminal = !Console.IsErrorRedirected,
                CanAsk = !Console.IsInputRedirected && !Console.IsOutputRedirected && !parse.GetValue(GlobalOptions.NoInput),
                Color = color && !Console.IsOutputRedirected && !Console.IsErrorRedirected,
                Width = Console.IsErrorRedirected ? 0 : Console.WindowWidth,
                Json = json,
                Quiet = parse.GetValue(GlobalOptions.Quiet),
                Verbose = parse.GetValue(GlobalOptions.Verbose),
            },
            ProjectOption = parse.GetValue(GlobalOptions.Project) ?? environment.GetValueOrDefault("LOOM_PROJECT"),
            Set = parse.GetValue(GlobalOptions.Set) ?? [],
            Environment = environment,
            WorkingDirectory = System.Environment.CurrentDirectory,
            // The process's own path, whatever it is called in a cache; unless that is dotnet, which was started as "dotnet loom.dll".
            Executable = System.Environment.ProcessPath is { } own && Path.GetFileName(own) is not "dotnet" ? own : Path.Combine(AppContext.BaseDirectory, "loom"),
        };
    }
}
