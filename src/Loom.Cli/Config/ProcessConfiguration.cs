using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Loom.Agents.Settings;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Cli.Config;

/// <summary>The configuration of this process: its command line, environment and files, read once and given to the pure loader.</summary>
public static class ProcessConfiguration
{
    /// <summary>Loads and goes on whatever comes, for commands that only look: <see cref="LoadResult.Snapshot"/> is then a best effort.</summary>
    /// <param name="context">Surroundings of the verb.</param>
    /// <param name="parse">The command line, whose flags have twins in the environment.</param>
    /// <param name="part">The part to judge for.</param>
    /// <param name="options">Values of named options, for example <c>("--mode", "runtime.mode", "full")</c>.</param>
    public static LoadResult Load(VerbContext context, ParseResult parse, LoomPart part, params ReadOnlySpan<CommandLineValue> options) =>
        SettingsLoader.Load(Request(context, parse, part, options));

    /// <summary>
    /// Loads for a command that starts something: warnings, notes and errors are told (faults on stderr, with <c>--json</c> the first error as the documented object).
    /// </summary>
    /// <returns>The snapshot, or null when there are errors: the command then ends with <see cref="ExitCode.Usage"/> and starts nothing.</returns>
    public static SettingsSnapshot? LoadStrict(VerbContext context, ParseResult parse, LoomPart part, params ReadOnlySpan<CommandLineValue> options)
    {
        var result = Load(context, parse, part, options);
        Tell(context.Terminal, result);
        return result.Ok ? result.Snapshot : null;
    }

    /// <summary>Tells the outcome of a load as a start does.</summary>
    public static void Tell(Terminal.Terminal terminal, LoadResult result)
    {
        if (terminal.Json && !result.Ok)
        {
            ErrorOf(result).WriteTo(terminal);
        }
        else if (result.Faults.Length > 0)
        {
            terminal.Err.Write(FaultText.Write(result, starting: true, terminal.Color));
        }

        foreach (var note in result.Notes)
        {
            terminal.Note("loom: " + note);
        }
    }

    /// <summary>The first error of a load, as one failure of the command.</summary>
    internal static CliError ErrorOf(LoadResult result)
    {
        var errors = result.Faults.Where(f => f.Severity == FaultSeverity.Error).ToList();
        var first = errors[0];
        var more = errors.Count > 1 ? string.Create(CultureInfo.InvariantCulture, $" (and {errors.Count - 1} more: loom config check --json)") : "";
        var words = string.Join(' ', new[] { first.Message, first.Allowed is { } allowed ? $"not one of: {allowed}" : "" }.Where(w => w.Length > 0));
        using var check = JsonDocument.Parse(ConfigJson.Check(result));
        return new CliError(ExitCode.Usage, string.Create(CultureInfo.InvariantCulture, $"CFG{(int)first.Code:000}"), $"{first.Key ?? first.Variable ?? "configuration"}: {words}{more}", first.Fix)
        {
            Place = new CliErrorPlace(first.Key, first.Source?.File, NullIfNone(first.Source?.Line), NullIfNone(first.Source?.Column)),
            Errors = check.RootElement.GetProperty("errors").Clone(),
        };
    }

    private static int? NullIfNone(int? place) => place is null or 0 ? null : place;

    internal static LoadRequest Request(VerbContext context, ParseResult parse, LoomPart part, ReadOnlySpan<CommandLineValue> options)
    {
        var values = ImmutableArray.CreateBuilder<CommandLineValue>();
        var fromVariable = context.Environment.TryGetValue(SharedSettings.ProjectDir.Variables[0], out var project) && string.Equals(project, context.ProjectOption, StringComparison.Ordinal);
        if (context.ProjectOption is { } folder && !fromVariable)
        {
            values.Add(new CommandLineValue("--project", SharedSettings.ProjectDir.Key, folder));
        }

        foreach (var item in context.Set)
        {
            var equals = item.IndexOf('=', StringComparison.Ordinal);
            values.Add(equals > 0
                ? new CommandLineValue("--set", item[..equals].Trim(), item[(equals + 1)..])
                : throw new CliError(ExitCode.Usage, "BAD_SET", $"--set wants KEY=VALUE, found '{Redaction.Plain(item)}'", "--set serving.bind=127.0.0.1:8081"));
        }

        values.AddRange(options);
        var twins = new Lazy<HashSet<string>>(() => Twins(parse.RootCommandResult.Command));
        return new LoadRequest
        {
            Registry = LoomRegistry.Instance,
            CrossRules = [.. LoomRegistry.CrossRules, LimitRules.With(CgroupSupport.Look)],
            Part = part,
            CommandLine = values.ToImmutable(),
            Environment = context.Environment,
            WorkingFolder = context.WorkingDirectory,
            HomeFolder = context.Environment.GetValueOrDefault("HOME") is { Length: > 0 } home ? home : "/",
            HostName = Environment.MachineName,
            Files = new DiskFiles(),
            IsKnownVariable = name => twins.Value.Contains(name),
        };
    }

    private static HashSet<string> Twins(Command root)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        var left = new Stack<Command>([root]);
        while (left.TryPop(out var command))
        {
            foreach (var option in command.Options)
            {
                names.Add(FlagTwins.VariableOf(option));
            }

            foreach (var below in command.Subcommands)
            {
                left.Push(below);
            }
        }

        return names;
    }
}
