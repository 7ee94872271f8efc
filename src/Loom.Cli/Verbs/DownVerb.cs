using System.Collections.Immutable;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Processes.Guarding;

namespace Loom.Cli.Verbs;

/// <summary><c>loom down</c>: stops everything of the project. Reads run state only, so it works with a broken <c>loom.toml</c>.</summary>
internal static class DownVerb
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);
    private static readonly Option<TimeSpan?> s_timeout = DurationOption.Create("--timeout", "Longest orderly stop; then everything is killed", s_patience);
    private static readonly Option<bool> s_force = new("--force") { Description = "Kill at once" };
    private static readonly Option<bool> s_all = new("--all") { Description = "Every running project of this user, wherever it lies" };
    private static readonly Option<bool> s_orphans = new("--orphans") { Description = "Processes of this user marked by a run that no longer lives; alone, no project is stopped" };

    public static Command Create()
    {
        var command = Verb.Create(
            "down",
            "Stop everything of the project; fine when nothing runs",
            ["loom down", "loom down -C samples/quickstart", "loom down --force", "loom down --all --orphans"],
            RunAsync);
        foreach (var option in new Option[] { s_timeout, s_force, s_all, s_orphans })
        {
            command.Options.Add(option);
        }

        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var timeout = parse.GetValue(s_timeout) ?? s_patience;
        var (all, sweep) = (parse.GetValue(s_all), parse.GetValue(s_orphans));
        ImmutableArray<RunDirectory> projects = all ? LiveProjects.Find() : sweep ? [] : [RunDirectory.Of(context.ProjectFolder())];
        var stopped = await Task.WhenAll(projects.Select(p => StopAsync(context, p, timeout, parse.GetValue(s_force), all, cancellationToken))).ConfigureAwait(false);
        var orphans = sweep ? await SweepAsync(context, cancellationToken).ConfigureAwait(false) : null;
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(
                new DownDocument(1, stopped.Any(s => s.WasRunning), [.. stopped.SelectMany(s => s.Survivors)], all ? stopped : null, orphans), DownJson.Default.DownDocument));
        }
        else
        {
            Tell(context.Terminal, stopped, all, orphans);
        }

        if (stopped.FirstOrDefault(s => s.Conflict is not null) is { Conflict: { } conflict })
        {
            throw new CliError(ExitCode.Conflict, "LOCKED", conflict);
        }

        string[] survivors = [.. stopped.SelectMany(s => s.Survivors), .. (orphans ?? []).SelectMany(o => o.Survivors)];
        return survivors.Length == 0 ? ExitCode.Ok : throw new CliError(ExitCode.Failed, "SURVIVORS", $"still alive: {string.Join("; ", survivors)}", "end them by pid");
    }

    private static async Task<StoppedProject> StopAsync(VerbContext context, RunDirectory project, TimeSpan timeout, bool force, bool all, CancellationToken cancellationToken)
    {
        try
        {
            var result = await new Down(project, context.Time, new NoteLogger(context.Terminal)).RunAsync(timeout, force, cancellationToken).ConfigureAwait(false);
            return new StoppedProject(project.Project, result.WasRunning, [.. result.Survivors], null);
        }
        catch (ProjectBusyException e)
        {
            return new StoppedProject(project.Project, true, [], e.Message);
        }
        catch (Exception e) when (all && e is (IOException or UnauthorizedAccessException))
        {
            return new StoppedProject(project.Project, true, [$"{project.Project}: {e.Message}"], null); // the others are still told
        }
    }

    private static async Task<IReadOnlyList<SweptRun>> SweepAsync(VerbContext context, CancellationToken cancellationToken)
    {
        var swept = new List<SweptRun>();
        foreach (var run in Orphans.Find(LiveProjects.RunsOf(LiveProjects.Find())))
        {
            var survivors = await Leftovers.EndAsync(run.RunId, [], [], groups: null, fresh: false, context.Time, cancellationToken).ConfigureAwait(false);
            swept.Add(new SweptRun(run.RunId, run.Processes, survivors));
        }

        return swept;
    }

    private static void Tell(Terminal.Terminal terminal, StoppedProject[] stopped, bool all, IReadOnlyList<SweptRun>? orphans)
    {
        foreach (var project in stopped.Where(s => s.Survivors.Count == 0 && s.Conflict is null))
        {
            terminal.Note((project.WasRunning ? "stopped" : "nothing is running") + (all ? $": {project.Project}" : ""));
        }

        if (all && stopped.Length == 0)
        {
            terminal.Note("nothing is running");
        }

        foreach (var process in (orphans ?? []).SelectMany(o => o.Processes))
        {
            terminal.Note($"ended {process}");
        }

        if (orphans is [])
        {
            terminal.Note("no orphans");
        }
    }
}

/// <summary>What <c>down --json</c> prints.</summary>
/// <param name="Schema">Version of this document.</param>
/// <param name="WasRunning">Whether there was anything to stop.</param>
/// <param name="Survivors">Pid and command of what could not be ended.</param>
/// <param name="Projects">With <c>--all</c>: each project.</param>
/// <param name="Orphans">With <c>--orphans</c>: each run that was swept.</param>
internal sealed record DownDocument(int Schema, bool WasRunning, IReadOnlyList<string> Survivors, IReadOnlyList<StoppedProject>? Projects, IReadOnlyList<SweptRun>? Orphans);

internal sealed record StoppedProject(string Project, bool WasRunning, IReadOnlyList<string> Survivors, string? Conflict);

internal sealed record SweptRun(string RunId, IReadOnlyList<string> Processes, IReadOnlyList<string> Survivors);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(DownDocument))]
internal sealed partial class DownJson : JsonSerializerContext;
