using System.Collections.Immutable;

namespace Loom.Processes;

/// <summary>
/// Keeps children alive and ends them without leaving one behind. Every call is a request to the owner loop; a second call for the same process
/// waits its turn, and a wait inside (delay, probe, grace) is ended by a stop. A cancelled call stops waiting; what it asked for still happens.
/// </summary>
public interface ISupervisor : IAsyncDisposable
{
    /// <summary>All processes, in the order they were added.</summary>
    ImmutableArray<ProcessSnapshot> Processes { get; }

    /// <summary>
    /// Adds a process. With <paramref name="start"/> it begins to start, and the call returns once it is spawned or has failed to spawn (its snapshot says
    /// which); without, it is known and shown as pending until <see cref="StartAsync"/>.
    /// </summary>
    /// <exception cref="ArgumentException">The name is in use, or the plan cannot work.</exception>
    Task AddAsync(ProcessPlan plan, bool start, CancellationToken cancellationToken);

    /// <summary>Shows a process that rests as held back; <see cref="StartAsync"/> ends it, a stop makes it stopped.</summary>
    /// <param name="name">Name of the process.</param>
    /// <param name="shown">Pending (waits), skipped (what it needs can no longer be had) or blocked (waits for a change).</param>
    /// <param name="reason">Why, for a person.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="InvalidOperationException">It runs, is being started or ended, or waits for a restart: stop it first.</exception>
    Task HoldAsync(string name, ProcessState shown, string reason, CancellationToken cancellationToken);

    /// <summary>Starts a process that rests, whatever it is shown as, and clears its counters; a running one is left alone.</summary>
    /// <exception cref="ArgumentException">No process has that name (also for the other calls that take one).</exception>
    Task StartAsync(string name, CancellationToken cancellationToken);

    /// <summary>Ends it by the stop ladder; returns when no process of it is left.</summary>
    /// <exception cref="SurvivorsException">Something outlived KILL.</exception>
    Task StopAsync(string name, CancellationToken cancellationToken);

    /// <summary>Stop, then start; not counted as a restart. <paramref name="reason"/> is shown meanwhile; null = by request.</summary>
    Task RestartAsync(string name, CancellationToken cancellationToken, string? reason = null);

    /// <summary>
    /// Stop, then start on trial, because what it runs has changed: not counted, and if the new incarnation ends before it was ready, it becomes blocked instead
    /// of being tried again. Returns once the new one is spawned or has failed to spawn.
    /// </summary>
    Task ReloadAsync(string name, string reason, CancellationToken cancellationToken);

    /// <summary>Stops it and forgets it.</summary>
    Task RemoveAsync(string name, CancellationToken cancellationToken);

    /// <summary>Waits until the process rests: stopped, completed, failed, skipped or blocked.</summary>
    Task<ProcessSnapshot> WaitAsync(string name, CancellationToken cancellationToken);

    /// <summary>Stops everything: agents and jobs, then MCP servers, then engines, then the runtime's own; each layer in parallel.</summary>
    /// <exception cref="SurvivorsException">Something outlived KILL.</exception>
    Task StopAllAsync(CancellationToken cancellationToken);

    /// <summary>Ends all grace: whatever is stopping, or stops later, is killed at once. The second Ctrl-C.</summary>
    void Hurry();

    /// <summary>A remark shown beside state and reason, for example that a reload failed; null takes it away. For an unknown name nothing happens.</summary>
    void Note(string name, string? note);

    /// <summary>What the process and everything in its session or group use, at most a tenth of a second old; null when it does not run.</summary>
    ProcessUsage? Usage(string name);

    /// <summary>The last lines a process wrote, colour codes and all, oldest first, at most 1,000; also after its end, until it is removed.</summary>
    ImmutableArray<string> Tail(string name, int lines);

    /// <summary>Closes all log files; the next line opens them anew. For a log rotated from outside, on SIGHUP.</summary>
    void ReopenLogs();

    /// <summary>Calls <paramref name="onChange"/> after each change of state, in order, never concurrently. Be short: the loop waits. Dispose to end.</summary>
    IDisposable Subscribe(Action<ProcessSnapshot> onChange);

    /// <summary>Calls <paramref name="onLine"/> with each captured line, in order of arrival. Be short: reading all output waits. Dispose to end.</summary>
    IDisposable FollowOutput(Action<LogLine> onLine);
}

/// <summary>Shapes of use that need no door of their own.</summary>
public static class SupervisorExtensions
{
    /// <summary>Adds a process and begins to start it; returns once it is spawned or has failed to spawn.</summary>
    /// <exception cref="ArgumentException">The name is in use, or the plan cannot work.</exception>
    public static Task AddAsync(this ISupervisor supervisor, ProcessPlan plan, CancellationToken cancellationToken) =>
        supervisor.AddAsync(plan, start: true, cancellationToken);

    /// <summary>Runs a plan once to its end, supervised and guarded like everything else, and forgets it.</summary>
    /// <param name="supervisor">Who runs it.</param>
    /// <param name="plan">What to run; set <see cref="ProcessPlan.Restart"/> to never for a single attempt.</param>
    /// <param name="cancellationToken">Ends the process by its stop ladder.</param>
    /// <returns>How it ended, and its last 40 lines.</returns>
    public static async Task<(ProcessSnapshot End, ImmutableArray<string> Tail)> RunToEndAsync(
        this ISupervisor supervisor, ProcessPlan plan, CancellationToken cancellationToken)
    {
        await supervisor.AddAsync(plan, CancellationToken.None).ConfigureAwait(false);
        try
        {
            var end = await supervisor.WaitAsync(plan.Name, cancellationToken).ConfigureAwait(false);
            return (end, supervisor.Tail(plan.Name, 40));
        }
        finally
        {
            await supervisor.RemoveAsync(plan.Name, CancellationToken.None).ConfigureAwait(false);
        }
    }
}
