using System.Text.Json;
using Loom.Components;
using Loom.Harness.Alerts;
using Loom.Harness.Architecture;
using Loom.Harness.Capabilities;
using Loom.Harness.Checkpoints;
using Loom.Harness.Control;
using Loom.Harness.Errors;
using Loom.Harness.Execution.Scheduling;
using Loom.Harness.Streams;
using Loom.Harness.Streams.Spills;
using Loom.Harness.Telemetry;
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

    /// <summary>A text about a failed event as it may be told.</summary>
    public Func<ItemFailure, string, string> Clean { get; init; } = static (_, text) => text;

    /// <summary>Where state is kept; null: nothing in the system can be resumed.</summary>
    public StateHome? State { get; init; }

    public required CheckpointTimes Checkpoints { get; init; }

    /// <summary>Where a binding's events wait that memory does not hold; null: on disk below the system's state folder.</summary>
    public Func<BindingPlan, ISpillFiles>? Spills { get; init; }

    /// <summary>Hash of the canonical graph.</summary>
    public required string GraphHash { get; init; }

    /// <summary>Runs it one thing at a time; then <see cref="Time"/> is its clock. Null: on the pool.</summary>
    public DeterministicScheduler? Scheduler { get; init; }

    /// <summary>Folder everything is written into, whatever path it has in the system; null: the paths hold.</summary>
    public string? WritesTo { get; init; }

    /// <summary>The run's name in ids of batches.</summary>
    public required string Run { get; init; }

    /// <summary>What metrics and alerts ask about besides the parts of the system.</summary>
    public RunFacts Facts { get; init; } = new();
}

/// <summary>A system put together and ready to run once; also what is looked at while it runs.</summary>
internal sealed class SystemAssembly : IDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private readonly List<DiskSpillFiles> _spills = [];

    public SystemAssembly(SystemPlan plan, RunMaterials materials)
    {
        Plan = plan;
        Secrets = SecretText.Of(plan.Secrets);
        State = materials.State;
        Materials = materials;
        var log = materials.Logs.CreateLogger("Loom.Harness");
        Barriers = new CheckpointCoordinator(materials.State, materials.GraphHash, materials.Checkpoints, materials.Time, log)
        {
            BeforeSave = materials.DeadLetters.FlushAsync,
            IsConfirmedAtTheEnd = materials.Scheduler is not null,
        };
        var schemas = new SchemaChecks(plan);
        var links = plan.Components.ToDictionary(
            c => c.Name, c => new LinkFactory(c, schemas, materials.CreateCapability, materials.Time, materials.Random), StringComparer.Ordinal);
        var loops = plan.Components.ToDictionary(c => c.Name, c => NewLoop(c, links[c.Name], materials), StringComparer.Ordinal);
        var stateFolder = Path.Combine(plan.Directory, ".loom", "harness", plan.Name);
        foreach (var (name, loop) in loops)
        {
            links[name].Rate.IsWanted = IsControlled(loop.Plan);
            links[name].Tokens = new TokenUse(
                () => loop.Metrics.Counted("prompt_tokens") + loop.Metrics.Counted("completion_tokens"), () => loop.Pause.Releases);
            loop.Controls = new ComponentControls(loop, links[name].Rate, log);
        }

        var wiring = new Wiring(plan, loops, materials.Time, materials.Spills ?? (b => SpillOf(stateFolder, b)));
        wiring.Connect();
        foreach (var loop in loops.Values)
        {
            BindErrors(loop, materials);
        }

        var metrics = new MetricHistory(SystemMetrics.Read, () => new MetricView(this), materials.Time);
        Monitor = new SystemMonitor(metrics, new AlertMonitor(BuiltInAlerts.For(plan.Policy), metrics, materials.Time, log), materials.Time, log);
        var surroundings = new RunSurroundings(plan, materials.Time, log, materials.Times, materials.Create, new PathGuard(plan.Directory, stateFolder, plan.Policy.WritePaths, materials.WritesTo))
        {
            Monitor = Monitor,
            Scheduler = materials.Scheduler,
            CanReplay = Checkpoints is not null && plan.Components.Any(c => c.Descriptor.Replayable),
        };
        Links = links;
        ComponentHost[] hosts = [.. plan.Components.Select(c => new ComponentHost(c, loops[c.Name], surroundings))];
        foreach (var host in hosts)
        {
            host.Loop.Controls.State = () => host.State;
        }

        Run = new SystemRun(
            surroundings, hosts, wiring.Streams, wiring.Feedbacks, materials.State, Barriers, _stopping);
    }

    public SystemPlan Plan { get; }

    public RunMaterials Materials { get; }

    public StateHome? State { get; }

    /// <summary>Barriers through the system, for checkpoints and for whoever must know what is confirmed.</summary>
    public CheckpointCoordinator Barriers { get; }

    /// <summary>Null where nothing can be resumed, so nothing is stored.</summary>
    public CheckpointCoordinator? Checkpoints => State is null ? null : Barriers;

    /// <summary>Counters of capabilities, by component.</summary>
    public IReadOnlyDictionary<string, LinkFactory> Links { get; }

    public SystemRun Run { get; }

    /// <summary>Metrics of the run for expressions, and its alerts.</summary>
    public SystemMonitor Monitor { get; }

    public MetricHistory Metrics => Monitor.Metrics;

    /// <summary>Takes the configured secrets out of what is told.</summary>
    public SecretText Secrets { get; }

    public void Dispose()
    {
        foreach (var spill in _spills)
        {
            spill.Dispose();
        }

        _stopping.Dispose();
    }

    // Only what somebody can hold back pays for it.
    private bool IsControlled(ComponentPlan component) => (component.Descriptor.ExecutesChain || component.Uses.Command is not null)
        && Plan.Bindings.Any(b => b.ToComponent == component.Name && component.Ports.Any(p => p.Name == b.ToPort && p.Class == SemanticClass.ControlIn));

    // What a run before left on disk is of no use to this one.
    private DiskSpillFiles SpillOf(string stateFolder, BindingPlan binding)
    {
        if (_spills.Count == 0)
        {
            DiskSpillFiles.Clear(stateFolder);
        }

        var files = new DiskSpillFiles(DiskSpillFiles.FolderOf(stateFolder, _spills.Count + 1, binding.Name));
        _spills.Add(files);
        return files;
    }

    private LoopContext NewLoop(ComponentPlan plan, LinkFactory links, RunMaterials materials)
    {
        var lane = materials.Scheduler?.NewLane(plan.Name);
        return new LoopContext(plan, materials.Time, lane)
        {
            Errors = materials.DeadLetters,
            Clean = materials.Clean,
            Checkpoints = Barriers,
            Acknowledgements = new Acknowledgements(plan.Name, materials.Time, materials.Logs.CreateLogger("Loom.Harness")),
            Stopping = _stopping.Token,
            Run = materials.Run,
            TraceSample = Plan.Policy.TraceSample,
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
