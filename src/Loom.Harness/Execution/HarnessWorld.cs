using Loom.Core.Gpus;
using Loom.Harness.Architecture;
using Loom.Harness.Execution.Scheduling;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Execution;

/// <summary>What a harness gets from the program it runs in.</summary>
internal sealed record HarnessWorld
{
    public required TimeProvider Time { get; init; }

    public required Random Random { get; init; }

    public required ILoggerFactory Logs { get; init; }

    /// <summary>What constructors of components may ask for.</summary>
    public required IServiceProvider Services { get; init; }

    /// <summary>Settings of the harness.</summary>
    public required HarnessOptions Options { get; init; }

    /// <summary>Values of <c>${VAR}</c>.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>Starts and ends commands.</summary>
    public required ISupervisor Supervisor { get; init; }

    /// <summary>What GPUs there are, for error records.</summary>
    public required IGpuView Gpus { get; init; }

    /// <summary>Name of this process among others that run the same system.</summary>
    public required string Instance { get; init; }
}

/// <summary>How one run is asked for.</summary>
internal sealed record HarnessRequest
{
    /// <summary>Folder of the system.</summary>
    public required string Directory { get; init; }

    /// <summary>Null: <c>deployment.yaml</c> where there is one.</summary>
    public string? Deployment { get; init; }

    /// <summary>Begin a new lineage of checkpoints.</summary>
    public bool Fresh { get; init; }

    /// <summary>Run whatever the files say now; shown in health and in every record.</summary>
    public bool Unlocked { get; init; }

    /// <summary>Go on from this checkpoint instead of the newest.</summary>
    public string? From { get; init; }

    /// <summary>Components that are gone and whose state is given up.</summary>
    public IReadOnlyList<string> DropState { get; init; } = [];

    /// <summary>Runs it one thing at a time by a clock of its own, with a checkpoint at the end alone; null: on the pool.</summary>
    public DeterministicScheduler? Scheduler { get; init; }

    /// <summary>Dead letters at the end are a failure (exit 4).</summary>
    public bool Strict { get; init; }
}
