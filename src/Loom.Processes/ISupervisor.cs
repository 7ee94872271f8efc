using System.Collections.Immutable;

namespace Loom.Processes;

/// <summary>
/// Keeps children alive and ends them without leaving one behind. Every call is a request to the owner loop; a second call for the same process
/// waits its turn, and a wait inside (delay, probe, grace) is ended by a stop.
/// </summary>
public interface ISupervisor : IAsyncDisposable
{
    /// <summary>All processes, in the order they were added.</summary>
    ImmutableArray<ProcessSnapshot> Processes { get; }

    /// <summary>Adds a process and begins to start it; returns once it is spawned or has failed to spawn.</summary>
    /// <exception cref="ArgumentException">The name is in use.</exception>
    Task AddAsync(ProcessPlan plan, CancellationToken cancellationToken);

    /// <summary>Starts a stopped, failed or completed process and clears its counters; a running one is left alone.</summary>
    Task StartAsync(string name, CancellationToken cancellationToken);

    /// <summary>Ends it by the stop ladder; returns when no process of it is left, or throws naming the survivors.</summary>
    Task StopAsync(string name, CancellationToken cancellationToken);

    /// <summary>Stop, then start; not counted as a restart.</summary>
    Task RestartAsync(string name, CancellationToken cancellationToken);

    /// <summary>Stops it and forgets it.</summary>
    Task RemoveAsync(string name, CancellationToken cancellationToken);

    /// <summary>Calls <paramref name="onChange"/> after each change of state, in order, never concurrently for one process. Dispose to end.</summary>
    IDisposable Subscribe(Action<ProcessSnapshot> onChange);
}
