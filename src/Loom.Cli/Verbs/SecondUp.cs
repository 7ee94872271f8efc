using System.Collections.Immutable;
using System.Globalization;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Cli.Logs;
using Loom.Cli.Terminal;

namespace Loom.Cli.Verbs;

/// <summary>
/// One runtime per project: a second <c>up</c> starts what is stopped or missing there, says what has changed since (or puts it in force), and on a terminal
/// follows its output.
/// </summary>
/// <param name="context">Surroundings of the verb.</param>
/// <param name="plan">What this command would have run.</param>
/// <param name="apply">Put the configuration as it is now in force.</param>
/// <param name="waitWithin">Wait until every agent is ready, at most so long; null = do not wait.</param>
internal sealed class SecondUp(VerbContext context, HomePlan plan, bool apply, TimeSpan? waitWithin)
{
    private readonly string _folder = plan.Settings.ProjectFolder;

    public async Task<int> RunAsync(CancellationToken stop)
    {
        var state = await FindAsync(context, _folder, stop).ConfigureAwait(false);
        var client = new ControlClient(state.Socket);
        await ReconcileAsync(client, stop).ConfigureAwait(false);
        if (waitWithin is { } limit)
        {
            await WaitAsync(client, limit, stop).ConfigureAwait(false);
        }

        state = await ProjectRun.FindReadyAsync(_folder, context.Time, stop).ConfigureAwait(false) ?? state;
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(ReadyJson.Of(state));
            return ExitCode.Ok;
        }

        context.Terminal.Note($"already running since {state.StartedAt.ToString("u", CultureInfo.InvariantCulture)}{(state.Addresses.TryGetValue("api", out var api) ? $": {api}/v1" : $" (pid {state.Supervisor.Pid})")}");
        if (!context.Terminal.CanAsk)
        {
            return ExitCode.Ok;
        }

        context.Terminal.Note("following its output; Ctrl-C detaches, loom down stops it");
        var printer = new LogPrinter(context.Terminal, new LogView(null, null, false, false));
        await foreach (var line in client.FollowAsync(null, 0, stop).ConfigureAwait(false))
        {
            printer.Print(new LogLine(line.Name, line.At, line.Text, line.Err));
        }

        return ExitCode.Ok;
    }

    /// <summary>The runtime that holds the lock, once its start is over: before, it has no address to give.</summary>
    public static async Task<RunState> FindAsync(VerbContext context, string folder, CancellationToken stop)
    {
        var state = await ProjectRun.FindLiveAsync(folder, context.Time, Down.AnswerWithin, stop).ConfigureAwait(false)
            ?? throw new CliError(ExitCode.Conflict, "LOCKED", $"the lock of {folder} is held, but its holder does not show itself", "loom down");
        if (state.Ready)
        {
            return state;
        }

        context.Terminal.Note($"already starting (pid {state.Supervisor.Pid}); waiting until it is ready");
        return await ProjectRun.FindReadyAsync(folder, context.Time, stop).ConfigureAwait(false)
            ?? throw new CliError(ExitCode.Failed, "NOT_STARTED", $"the start that was under way in {folder} (pid {state.Supervisor.Pid}) has ended", "loom up");
    }

    private async Task ReconcileAsync(ControlClient client, CancellationToken stop)
    {
        var changes = (await AskAsync(client, new ControlRequest(apply ? ControlOps.Apply : ControlOps.Drift), stop).ConfigureAwait(false)).Changes ?? [];
        var changed = changes.Where(c => c.Change != "unchanged").ToList();
        foreach (var change in changed)
        {
            context.Terminal.Note(apply ? $"{change.Agent}: {change.Change}" : $"{change.Agent}: {change.Change} in loom.toml or agents/, not in force");
        }

        if (changed.Count > 0 && !apply)
        {
            context.Terminal.Note("loom up --apply puts it in force");
        }

        foreach (var key in RunningConfig.Changed(plan.Settings, LoomRegistry.Instance).Where(k => !k.StartsWith("agents.", StringComparison.Ordinal) && !k.StartsWith("harness.systems", StringComparison.Ordinal)))
        {
            context.Terminal.Note($"{key}: changed, takes effect after loom down");
        }

        // What is new is not known there before it is applied.
        var unknown = apply ? [] : changed.Where(c => c.Change == "added").Select(c => c.Agent).ToHashSet(StringComparer.Ordinal);
        var names = plan.Wish.Names is { } asked ? [.. asked.Where(n => !unknown.Contains(n))] : (ImmutableArray<string>?)null;
        if (names is not { IsEmpty: true })
        {
            await AskAsync(client, new ControlRequest(ControlOps.Start) { Names = names, NoDeps = !plan.Wish.WithDependencies }, stop).ConfigureAwait(false);
        }
    }

    private async Task WaitAsync(ControlClient client, TimeSpan limit, CancellationToken stop)
    {
        var reply = await AskAsync(client, new ControlRequest(ControlOps.Wait) { Names = plan.Wish.Names, TimeoutMs = (long)limit.TotalMilliseconds }, stop).ConfigureAwait(false);
        if (reply.Outcome is WaitOutcome.Failed or WaitOutcome.Timeout)
        {
            var late = (reply.State?.Processes ?? []).Where(p => p.Kind is "agent" && p.State is not ("ready" or "completed")).Select(p => $"{p.Name} ({p.State}{(p.Reason is null ? "" : ": " + p.Reason)})");
            throw reply.Outcome == WaitOutcome.Failed
                ? new CliError(ExitCode.ComponentFailed, "AGENT_FAILED", $"not every agent can be ready: {string.Join(", ", late)}", "loom logs")
                : new CliError(ExitCode.TimedOut, "WAIT_TIMEOUT", $"not ready within {limit.TotalSeconds:0.#} s: {string.Join(", ", late)}", "loom logs, or a longer --wait-timeout");
        }
    }

    private static async Task<ControlReply> AskAsync(ControlClient client, ControlRequest request, CancellationToken stop)
    {
        var reply = await client.AskAsync(request, stop).ConfigureAwait(false)
            ?? throw new CliError(ExitCode.Conflict, "NO_ANSWER", "the running project does not answer", "loom down");
        return reply.Refusal switch
        {
            null => reply,
            ControlRefusal.BadConfiguration => throw new CliError(ExitCode.Usage, "BAD_CONFIGURATION", $"nothing was changed: {reply.Error}", "loom config check"),
            ControlRefusal.UnknownName => throw new CliError(ExitCode.NotRunning, "UNKNOWN_AGENT", reply.Error ?? "there is no such agent", reply.Nearest is { } near ? $"did you mean {near}?" : "loom status"),
            _ => throw new CliError(ExitCode.Failed, "REFUSED", reply.Error ?? "the running project refused", "loom status"),
        };
    }
}
