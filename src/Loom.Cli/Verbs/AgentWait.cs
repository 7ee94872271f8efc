using System.Globalization;
using Loom.Agents.Orchestration;
using Loom.Cli.Terminal;
using Loom.Processes;

namespace Loom.Cli.Verbs;

/// <summary><c>up --wait</c>: a start that is only good when every agent is ready.</summary>
/// <param name="time">Clock.</param>
/// <param name="supervisor">Knows what failed agents wrote last.</param>
/// <param name="terminal">Where that is shown.</param>
internal sealed class AgentWait(TimeProvider time, ISupervisor supervisor, Terminal.Terminal terminal)
{
    private const int LinesShown = 20;

    /// <summary>Waits until every wanted agent is ready or done.</summary>
    /// <exception cref="CliError">One cannot be, or time is over.</exception>
    public async Task ReadyAsync(AgentHost agents, TimeSpan limit, CancellationToken stop)
    {
        using var patience = new CancellationTokenSource(limit, time);
        using var waiting = CancellationTokenSource.CreateLinkedTokenSource(stop, patience.Token);
        try
        {
            var settled = await agents.SettledAsync(null, waiting.Token).ConfigureAwait(false);
            if (settled.FirstOrDefault(a => a.Wanted && !a.IsWell) is { } bad)
            {
                ShowTail(bad.Name);
                throw new CliError(ExitCode.ComponentFailed, "AGENT_FAILED", $"{bad.Name} is {bad.State.ToString().ToLowerInvariant()}{(bad.Reason is null ? "" : ": " + bad.Reason)}", $"loom logs {bad.Name}");
            }
        }
        catch (OperationCanceledException) when (patience.IsCancellationRequested && !stop.IsCancellationRequested)
        {
            var late = agents.Agents.Where(a => a.Wanted && !a.Settled).ToList();
            late.ForEach(a => ShowTail(a.Name));
            var names = string.Join(", ", late.Select(a => $"{a.Name} ({a.State.ToString().ToLowerInvariant()}{(a.Reason is null ? "" : ": " + a.Reason)})"));
            throw new CliError(
                ExitCode.TimedOut, "WAIT_TIMEOUT", $"not ready within {limit.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)} s: {names}", "loom logs, or a longer --wait-timeout");
        }
    }

    private void ShowTail(string name)
    {
        foreach (var line in supervisor.Tail(name, LinesShown))
        {
            terminal.Err.WriteLine($"  {name} | {line}");
        }
    }
}
