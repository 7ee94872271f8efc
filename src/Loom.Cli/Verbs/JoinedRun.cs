using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Cli.Logs;
using Loom.Cli.Terminal;
using Loom.Processes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Cli.Verbs;

/// <summary>
/// <c>loom run</c> while the project's runtime is up: uses that one, and supervises only the main script itself, since it may need the terminal. It ends when the
/// script does, or when the runtime goes away.
/// </summary>
/// <param name="context">Surroundings of the verb.</param>
/// <param name="plan">What was asked for.</param>
/// <param name="signals">Who asks it to stop.</param>
/// <param name="words">Takes what the supervisor's threads have to say to the terminal.</param>
internal sealed class JoinedRun(VerbContext context, HomePlan plan, ProcessSignals signals, WordRelay words)
{
    private readonly string _folder = plan.Settings.ProjectFolder;

    /// <summary>Runs it to its end.</summary>
    /// <returns>The script's exit code; without a main script 0 when every agent has succeeded, else 1.</returns>
    public async Task<int> RunAsync()
    {
        var state = await SecondUp.FindAsync(context, _folder, signals.Stop).ConfigureAwait(false);
        var client = new ControlClient(state.Socket);
        var runId = RunId.New(context.Time, new Random());
        var api = state.Addresses.TryGetValue("api", out var address) ? new Uri(address) : null;
        var agents = plan.Agents(runId, api).Plan;
        var main = agents.Agents.FirstOrDefault(a => a.IsMain);
        if (agents.Agents.Any(a => !a.IsMain))
        {
            await AskAsync(client, new ControlRequest(ControlOps.Start)).ConfigureAwait(false);
        }

        if (main?.DependsOn is [_, ..] needed && needed.Where(d => d.On == DependencyKind.Agent).Select(d => d.Target).ToImmutableArray() is [_, ..] names
            && (await AskAsync(client, new ControlRequest(ControlOps.Wait) { Names = names }).ConfigureAwait(false)).Outcome != WaitOutcome.Met)
        {
            throw new CliError(ExitCode.ComponentFailed, "DEPENDENCY", $"{main.Name} depends on {string.Join(", ", names)}, which cannot be ready", "loom status");
        }

        plan.Folders.Create();

        return main is null
            ? await EndOfAllAsync(client).ConfigureAwait(false)
            : await RunMainAsync(client, agents with { Agents = [main with { DependsOn = [] }] }, runId).ConfigureAwait(false);
    }

    private async Task<int> EndOfAllAsync(ControlClient client)
    {
        var reply = await AskAsync(client, new ControlRequest(ControlOps.Wait) { For = "ended" }).ConfigureAwait(false);
        return reply.State?.Processes.Where(p => p.Kind is "agent").All(p => p.State is "completed") == true ? ExitCode.Ok : ExitCode.Failed;
    }

    private async Task<ControlReply> AskAsync(ControlClient client, ControlRequest request)
    {
        var reply = await client.AskAsync(request, signals.Stop).ConfigureAwait(false);
        return reply is { Ok: true } ? reply : throw new CliError(ExitCode.Failed, "REFUSED", reply?.Error ?? "the running project does not answer", "loom status");
    }

    private async Task<int> RunMainAsync(ControlClient client, ProjectPlan main, string runId)
    {
        // A guardian of its own: the runtime's would end the script's run with everything else, and the other way round.
        var directory = Directory.CreateDirectory(Path.Combine(RunDirectory.Of(_folder).Path, "runs", runId)).FullName;
        try
        {
            await using var supervisor = GuardedSupervisor.Create(context, runId, directory, NullLogger.Instance);
            await using var host = new AgentHost(main, supervisor, NullLogger.Instance);
            var printer = new LogPrinter(context.Terminal, new LogView(null, null, false, false));
            using var following = supervisor.FollowOutput(l => words.Post(() => printer.Print(new Logs.LogLine(l.Name, l.At, l.Text, l.IsError))));
            using var leaving = CancellationTokenSource.CreateLinkedTokenSource(signals.Stop);
            using var hurry = signals.Kill.Register(supervisor.Hurry);
            var gone = GoneAsync(client, leaving.Token);
            await host.StartAsync(null, withDependencies: true, signals.Stop).ConfigureAwait(false);
            var first = await Task.WhenAny(host.MainEnded, gone).ConfigureAwait(false);
            await leaving.CancelAsync().ConfigureAwait(false);
            if (first == host.MainEnded)
            {
                var end = await host.MainEnded.ConfigureAwait(false);
                if (end.Exit is null)
                {
                    throw new CliError(ExitCode.Failed, "NOT_STARTED", $"{main.Agents[0].Name} could not be started: {end.Reason}", "loom doctor");
                }

                await EndAsync(supervisor).ConfigureAwait(false);
                return end.ExitCode;
            }

            await host.StopAllAsync(signals.Kill).ConfigureAwait(false);
            await EndAsync(supervisor).ConfigureAwait(false);
            return signals.First switch
            {
                PosixSignal.SIGINT => ExitCode.Interrupted,
                not null => ExitCode.Terminated,
                null when signals.Stop.IsCancellationRequested => ExitCode.Ok,
                null => throw new CliError(ExitCode.Failed, "RUNTIME_GONE", "the project's runtime has ended, and the script with it", "loom run starts one of its own when none is up"),
            };
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task EndAsync(Supervisor supervisor)
    {
        try
        {
            await supervisor.StopAllAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (SurvivorsException e)
        {
            throw new CliError(ExitCode.Failed, "SURVIVORS", $"still alive: {string.Join("; ", e.Survivors)}", "end them by pid");
        }
    }

    // The connection lives as long as the runtime.
    private static async Task GoneAsync(ControlClient client, CancellationToken stop)
    {
        try
        {
            await foreach (var _ in client.FollowAsync(null, 0, stop).ConfigureAwait(false))
            {
                // Only its end matters.
            }
        }
        catch (OperationCanceledException)
        {
        }
    }
}
