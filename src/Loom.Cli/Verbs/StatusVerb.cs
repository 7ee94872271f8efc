using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary><c>loom status</c> (<c>ps</c>): what runs, since when, and why something does not.</summary>
internal static class StatusVerb
{
    public static Command Create()
    {
        var command = Verb.Create("status", "Show what runs; exit 0 all well, 4 something is not, 3 nothing runs", ["loom status", "loom status --json", "loom ps -C samples/quickstart"], RunAsync);
        command.Aliases.Add("ps");
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken cancellationToken)
    {
        var directory = RunDirectory.Of(context.ProjectFolder());
        RunningApi.CheckOwner(directory);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(Down.AnswerWithin);
        ControlReply? reply;
        try
        {
            reply = await new ControlClient(directory.Socket).AskAsync(new ControlRequest("status"), deadline.Token).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException || (e is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new CliError(ExitCode.Conflict, "NO_ANSWER", $"the runtime of {directory.Project} does not answer within {Down.AnswerWithin.TotalSeconds:0} s", "loom down");
        }

        if (reply?.State is not { } state)
        {
            throw new CliError(ExitCode.NotRunning, "NOT_RUNNING", $"nothing is running in {directory.Project}", "loom up");
        }

        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(state, StatusJson.Default.RunState));
        }
        else
        {
            Print(context, state);
        }

        return IsWell(state) ? ExitCode.Ok : ExitCode.ComponentFailed;
    }

    /// <summary>Whether everything that should run does: the start is over, every pool serves, no process is in trouble.</summary>
    internal static bool IsWell(RunState state) =>
        state.Ready && state.Pools.All(p => p.IsWell) && state.Processes.All(p => p.State is "ready" or "running" or "completed" or "stopped");

    private static void Print(VerbContext context, RunState state)
    {
        var now = context.Time.GetUtcNow();
        var rows = new List<string[]> { new[] { "NAME", "KIND", "STATE", "PID", "UPTIME", "RESTARTS", "NOTE" } };
        rows.Add(["loom", "runtime", state.Ready ? "ready" : "starting", Number(state.Supervisor.Pid), Age(now - state.StartedAt), "0", string.Join("  ", state.Addresses.Select(a => $"{a.Key} {a.Value}"))]);
        rows.AddRange(state.Pools.Select(p => new[]
        {
            $"{p.Pool}/{p.Replica}", "pool", p.State, "-", "-", "-", $"{p.Engine}, model {p.Model}{(p.Mock ? ", mock" : "")}{(p.LastError is { } error ? ": " + error : "")}",
        }));
        rows.AddRange(state.Processes.Select(p => new[]
        {
            p.Name, p.Kind, p.State, p.Pid is { } pid ? Number(pid) : "-", p.Pid is null ? "-" : Age(now - p.Since), Number(p.Restarts), p.Reason ?? "",
        }));
        context.Terminal.Table(rows);
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static string Age(TimeSpan age) => age switch
    {
        { TotalDays: >= 1 } => $"{(int)age.TotalDays}d{age.Hours}h",
        { TotalHours: >= 1 } => $"{(int)age.TotalHours}h{age.Minutes}m",
        { TotalMinutes: >= 1 } => $"{(int)age.TotalMinutes}m{age.Seconds}s",
        _ => $"{Math.Max(0, (int)age.TotalSeconds)}s",
    };
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(RunState))]
internal sealed partial class StatusJson : JsonSerializerContext;
