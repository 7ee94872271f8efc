using Loom.Harness.Architecture;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Tests.Running;

/// <summary>What cases get from the program that runs them.</summary>
internal sealed record TestWorld
{
    /// <summary>The real clock.</summary>
    public required TimeProvider Time { get; init; }

    public required ILoggerFactory Logs { get; init; }

    public required HarnessOptions Options { get; init; }

    /// <summary>Values of <c>${VAR}</c> and of children.</summary>
    public required IReadOnlyDictionary<string, string> Environment { get; init; }

    /// <summary>Starts and ends commands.</summary>
    public required ISupervisor Supervisor { get; init; }

    /// <summary>Services that reach the network, by a clock.</summary>
    public required Func<TimeProvider, IServiceProvider> Live { get; init; }

    /// <summary>The disk, for recordings.</summary>
    public ISystemFiles Files { get; init; } = DiskSystemFiles.Instance;

    /// <summary>Whether recordings and files of expected events are written.</summary>
    public bool Update { get; init; }
}
