using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Loom.Cli.Logs;
using Loom.Cli.Status;
using Loom.Cli.Terminal;
using Loom.Core.Settings;

namespace Loom.Cli.Verbs;

/// <summary><c>loom logs</c>: captured output, merged by time. Works whether something runs or not.</summary>
public static class LogsVerb
{
    private const int DefaultLines = 100;

    private static readonly Argument<string[]> s_names = new("NAME") { Description = "Processes (default: all)", Arity = ArgumentArity.ZeroOrMore };
    private static readonly Option<bool> s_follow = new("--follow", "-f") { Description = "Go on with new lines" };
    private static readonly Option<int?> s_lines = new("--lines", "-n") { Description = "Last lines shown (default: 100; with --since, --grep, --stdout or --stderr all that match)" };
    private static readonly Option<string?> s_since = new("--since") { Description = "Only lines since a time or an age: 2026-01-31T10:00:00Z, 10m, 2h" };
    private static readonly Option<string?> s_grep = new("--grep") { Description = "Only lines that match a regular expression" };
    private static readonly Option<bool> s_stdout = new("--stdout") { Description = "Only what was written to stdout (an engine's log holds both streams as one)" };
    private static readonly Option<bool> s_stderr = new("--stderr") { Description = "Only what was written to stderr" };
    private static readonly Option<bool> s_raw = new("--raw") { Description = "Lines without their process names" };
    private static readonly Option<bool> s_timestamps = new("--timestamps") { Description = "Put the time before each line" };

    private static readonly TimeSpan s_longestAge = TimeSpan.FromDays(36_500);

    public static Command Create()
    {
        var command = Verb.Create(
            "logs",
            "Show what processes wrote",
            ["loom logs", "loom logs -f researcher", "loom logs researcher --stderr -n 20", "loom logs --since 10m --grep error", "loom logs --json -n 1000 > lines.ndjson"],
            RunAsync);
        s_names.CompletionSources.Add(KnownNames.Logs());
        command.Arguments.Add(s_names);
        s_lines.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && int.TryParse(result.Tokens[0].Value, NumberStyles.Integer, CultureInfo.InvariantCulture, out var lines) && lines < 0)
            {
                result.AddError($"--lines wants 0 or more, found {lines}.");
            }
        });
        foreach (var option in new Option[] { s_follow, s_lines, s_since, s_grep, s_stdout, s_stderr, s_raw, s_timestamps })
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var folder = LogFolder.Of(context, parse);
        var names = parse.GetValue(s_names) ?? [];
        var view = new LogView(Since(parse.GetValue(s_since), context.Time), Pattern(parse.GetValue(s_grep)), parse.GetValue(s_raw), parse.GetValue(s_timestamps))
        {
            Errors = (parse.GetValue(s_stdout), parse.GetValue(s_stderr)) switch { (true, false) => false, (false, true) => true, _ => null },
        };
        using var logs = new MergedLogs(folder, names, context.Time);
        var printer = new LogPrinter(context.Terminal, view);
        var tail = logs.Tail(parse.GetValue(s_lines) ?? (view.IsFilter ? int.MaxValue : DefaultLines), view.IsFilter ? view.Shows : null);
        if (names.FirstOrDefault(n => !logs.Names.Any(l => ReplicaName.Answers(l, n))) is { } unknown)
        {
            if (KnownNames.IsSystem(context.ProjectFolder(), unknown))
            {
                throw new CliError(ExitCode.NotRunning, "UNKNOWN_NAME", $"the system '{unknown}' has no log of its own: it runs inside loom, and its programs have logs named after their components", $"loom logs loom --grep {unknown}");
            }

            var known = MergedLogs.NamesIn(folder);
            throw new CliError(ExitCode.NotRunning, "UNKNOWN_NAME", $"there is no log of '{unknown}' in {folder}", $"one of: {string.Join(", ", known)}");
        }

        foreach (var line in tail)
        {
            printer.Print(line);
        }

        if (parse.GetValue(s_follow))
        {
            await foreach (var line in logs.FollowAsync(cancellationToken).ConfigureAwait(false))
            {
                printer.Print(line);
            }
        }

        return ExitCode.Ok;
    }

    internal static DateTimeOffset? Since(string? text, TimeProvider time)
    {
        if (text is null)
        {
            return null;
        }

        if (DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
        {
            return at;
        }

        TimeSpan? age = null;
        if (text.Length > 1 && double.TryParse(text.AsSpan(0, text.Length - 1), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number >= 0)
        {
            var unit = text[^1] switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 86_400, _ => 0 };
            age = unit > 0 && number * unit <= s_longestAge.TotalSeconds ? TimeSpan.FromSeconds(number * unit) : null;
        }

        return time.GetUtcNow() - (age ?? throw new CliError(ExitCode.Usage, "USAGE", $"--since '{Redaction.Plain(text)}' is neither a time nor an age", "for example --since 10m"));
    }

    private static Regex? Pattern(string? text)
    {
        try
        {
            return text is null ? null : new Regex(text, RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1));
        }
        catch (RegexParseException e)
        {
            throw new CliError(ExitCode.Usage, "USAGE", $"--grep '{text}' is not a regular expression: {e.Message}");
        }
    }
}
