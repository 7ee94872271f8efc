using System.Collections;
using System.CommandLine;

namespace Loom.Cli.Verbs;

/// <summary>What a verb gets besides its own options.</summary>
public sealed class VerbContext
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
                Out = Console.Out,
                Err = Console.Error,
                In = Console.In,
                OutIsTerminal = !Console.IsOutputRedirected,
                ErrIsTerminal = !Console.IsErrorRedirected,
                CanAsk = !Console.IsInputRedirected && !Console.IsOutputRedirected && !parse.GetValue(GlobalOptions.NoInput),
                Color = color && !Console.IsOutputRedirected && !Console.IsErrorRedirected,
                Json = json,
                Quiet = parse.GetValue(GlobalOptions.Quiet),
                Verbose = parse.GetValue(GlobalOptions.Verbose),
            },
            ProjectOption = parse.GetValue(GlobalOptions.Project) ?? environment.GetValueOrDefault("LOOM_PROJECT"),
            Set = parse.GetValue(GlobalOptions.Set) ?? [],
            Environment = environment,
            WorkingDirectory = System.Environment.CurrentDirectory,
            Executable = System.Environment.ProcessPath ?? throw new InvalidOperationException("the path of the running executable is unknown"),
        };
    }
}
