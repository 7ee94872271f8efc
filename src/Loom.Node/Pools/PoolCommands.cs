using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>Which operation a command is.</summary>
internal static class PoolCommands
{
    /// <summary>Runs a command on a pool with processes.</summary>
    /// <param name="pool">The pool.</param>
    /// <param name="command">What to do.</param>
    /// <param name="within">How long running requests may finish where the command names no deadline.</param>
    /// <param name="progress">Told of each change.</param>
    /// <param name="cancellationToken">Ends the wait, not the work.</param>
    public static Task<OperationStatus> RunAsync(PoolOwner pool, PoolCommand command, TimeSpan within, Action<OperationStatus> progress, CancellationToken cancellationToken) =>
        pool.RunAsync(command.Word, progress, (log, stop) => command switch
        {
            PoolCommand.Preload preload => new Preload(pool, log, preload, stop).RunAsync(),
            PoolCommand.Drain drain => new Drain(pool, log, Deadline(drain.DeadlineMs, within), stop).RunAsync(),
            PoolCommand.Undrain => UndrainAsync(pool),
            PoolCommand.Reload reload => new Reload(pool, log, reload, Deadline(reload.DeadlineMs, within), stop).RunAsync(),
            PoolCommand.Swap swap => new Swap(pool, log, swap, stop).RunAsync(),
            PoolCommand.Purge purge => new Purge(pool, log, purge, within, stop).RunAsync(),
            _ => throw new InvalidOperationException($"unknown command {command.Word}"),
        }, cancellationToken);

    /// <summary>A command that names no deadline has the configured one.</summary>
    public static TimeSpan Deadline(int? milliseconds, TimeSpan otherwise) => milliseconds is { } ms ? TimeSpan.FromMilliseconds(Math.Max(0, ms)) : otherwise;

    private static Task<OperationEnd> UndrainAsync(PoolOwner pool)
    {
        pool.Tell(new PoolEvent.DrainSet(Drained: false));
        return Task.FromResult(OperationEnd.Succeeded);
    }
}
