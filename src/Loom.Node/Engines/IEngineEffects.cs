using Loom.Node.Provisioning;
using Loom.Processes;

namespace Loom.Node.Engines;

/// <summary>What one replica does to the world. The real one is <see cref="EngineEffects"/>; tests bring one that records.</summary>
public interface IEngineEffects
{
    /// <summary>Fetches and checks engine and model.</summary>
    /// <exception cref="ProvisionException">It cannot be had, with the reason and whether trying later may help.</exception>
    Task<PreparedEngine> PrepareAsync(IProgress<ProvisionProgress> progress, CancellationToken cancellationToken);

    /// <summary>A port of the range that nobody holds, kept for this replica until it is released or another one is taken.</summary>
    /// <exception cref="ProvisionException">All are taken.</exception>
    int TakePort();

    /// <summary>Gives the replica's port back; does nothing when it has none.</summary>
    void ReleasePort();

    /// <summary>Whether somebody else listens on the port.</summary>
    bool IsPortTaken(int port);

    /// <summary>Hands the process to the supervisor; returns once it is spawned or has failed to spawn.</summary>
    Task AddProcessAsync(EngineRun run, CancellationToken cancellationToken);

    /// <summary>Takes it away again; nothing of it is left afterwards. Does nothing when there is none.</summary>
    Task RemoveProcessAsync(CancellationToken cancellationToken);

    /// <summary>Calls back with news of this replica's process, in order.</summary>
    IDisposable Subscribe(Action<ProcessSnapshot> onChange);

    /// <summary>What the running engine says about itself; <see cref="EngineFacts.None"/> when it does not.</summary>
    Task<EngineFacts> AskFactsAsync(EngineRun run, CancellationToken cancellationToken);

    /// <summary>Progress of loading, 0 to 100; null when the engine does not say.</summary>
    Task<int?> AskLoadPercentAsync(EngineRun run, CancellationToken cancellationToken);

    /// <summary>One health check; null = it answers well, else what is wrong.</summary>
    Task<string?> ProbeAsync(EngineRun run, CancellationToken cancellationToken);

    /// <summary>The last line the engine wrote to its log; null when there is none.</summary>
    string? LastWords();
}
