using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Capabilities;
using Loom.Harness.Checkpoints;
using Loom.Harness.Errors;
using Loom.Harness.Execution.Scheduling;
using Loom.Harness.Streams;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Execution;

/// <summary>What a run needs from outside besides its plan.</summary>
internal sealed record RunMaterials
{
    public required TimeProvider Time { get; init; }

    public required Random Random { get; init; }

    public required ILoggerFactory Logs { get; init; }

    public required LifecycleTimes Times { get; init; }

    /// <summary>Makes a component from its plan.</summary>
    public required Func<ComponentPlan, Component> Create { get; init; }

    /// <summary>Makes a capability of the user's own.</summary>
    public required Func<CapabilityPlan, Capability> CreateCapability { get; init; }

    /// <summary>Takes failed events of components without an error port.</summary>
    public required IErrorDestination DeadLetters { get; init; }

    /// <summary>What an error port carries for a failed event.</summary>
    public required Func<ItemFailure, JsonElement> Describe { get; init; }

    /// <summary>Where state is kept; null: nothing in the system can be resumed.</summary>
    public StateHome? State { get; init; }

    public required CheckpointTimes Checkpoints { get; init; }

    /// <summary>Hash of the canonical graph.</summary>
    public required string GraphHash { get; init; }

    /// <summary>Runs it one thing at a time; then <see cref="Time"/> is its clock. Null: on the pool.</summary>
    public DeterministicScheduler? Scheduler { get; init; }

    /// <summary>Folder everything is written into, whatever path it has in the system; null: the paths hold.</summary>
    public string? WritesTo { get; init; }

    /// <summary>The run's name in ids of batches.</summary>
    public required string Run { get; init; }
}

/// <summary>A system put together and ready to run once; also what is looked at while it runs.</summary>
internal sealed class SystemAssembly : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();

    public SystemAssembly(SystemPlan plan, RunMaterials materials)
    {
        Plan = plan;
        State = materials.State;
        Materials = materials;
        var log = materials.Logs.CreateLogger("Loom.Harness");
        if (materials.State is { } state)
        {
            Checkpoints = new CheckpointCoordinator(state, materials.GraphHash, materials.Checkpoints, materials.Time, log) { BeforeSave = materials.DeadLetters.FlushAsync };
        }

        var schemas = new SchemaChecks(plan);
        var links = plan.Components.ToDictionary(
            c => c.Name, c => new LinkFactory(c, schemas, materials.CreateCapability, materials.Time, materials.Random), StringComparer.Ordinal);
        var loops = plan.Components.ToDictionary(c => c.Name, c => NewLoop(c, links[c.Name], materials), StringComparer.Ordinal);
        var wiring = new Wiring(plan, loops, materials.Time);
        wiring.Connect();
        foreach (var loop in loops.Values)
        {
            BindErrors(loop, materials);
        }

        var stateFolder = Path.Combine(plan.Directory, ".loom", "harness", plan.Name);
        var surroundings = new RunSurroundings(plan, materials.Time, log, materials.Times, materials.Create, new PathGuard(plan.Directory, stateFolder, plan.Policy.WritePaths, materials.WritesTo))
        {
            CanReplay = Checkpoints is not null && plan.Components.Any(c => c.Descriptor.Replayable),
        };
        Links = links;
        Run = new SystemRun(
            surroundings, [.. plan.Components.Select(c => new ComponentHost(c, loops[c.Name], surroundings))], wiring.Streams, materials.State, Checkpoints, _stopping);
    }

    public SystemPlan Plan { get; }

    public RunMaterials Materials { get; }

    public StateHome? State { get; }

    public CheckpointCoordinator? Checkpoints { get; }

    /// <summary>Counters of capabilities, by component.</summary>
    public IReadOnlyDictionary<string, LinkFactory> Links { get; }

    public SystemRun Run { get; }

    public void Dispose()
    {
        Checkpoints?.Dispose();
        _stopping.Dispose();
    }

    private LoopContext NewLoop(ComponentPlan plan, LinkFactory links, RunMaterials materials)
    {
        var lane = materials.Scheduler?.NewLane(plan.Name);
        return new LoopContext(plan, materials.Time, lane)
        {
            Errors = materials.DeadLetters,
            Checkpoints = (ICheckpointParts?)Checkpoints ?? new NoCheckpoints(),
            Stopping = _stopping.Token,
            Run = materials.Run,
            Chain = new ChainBuilder(links, lane),
        };
    }

    // An error port that is bound comes before the dead letters.
    private static void BindErrors(LoopContext loop, RunMaterials materials)
    {
        var port = loop.Outputs.OfType<OutputPort<JsonElement>>().FirstOrDefault(o => o.Plan.Class == SemanticClass.ErrorOut && o.Targets.Count > 0);
        if (port is not null)
        {
            loop.Errors = new ErrorPortDestination(materials.Describe, port);
        }
    }
}
