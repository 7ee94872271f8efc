using System.Collections.Concurrent;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Testing.Harness;

/// <summary>One run of a system made in code, with a state store where one is asked for. Single use: load, run, look, dispose.</summary>
internal sealed class CodedRun : IErrorDestination, IAsyncDisposable
{
    private CodedRun()
    {
    }

    public required SystemAssembly Assembly { get; init; }

    public StateHome? State { get; private init; }

    /// <summary>Events that failed, in the order they came; the dead letters of this run.</summary>
    public ConcurrentQueue<ItemFailure> Failures { get; } = [];

    /// <summary>Takes failures in place of <see cref="Failures"/>.</summary>
    public Func<ItemFailure, CancellationToken, ValueTask>? Refuse { get; set; }

    public CheckpointsSnapshot Checkpoints => Assembly.Checkpoints!.Snapshot;

    /// <param name="builder">The system.</param>
    /// <param name="around">What it runs in.</param>
    /// <param name="fresh">Without the checkpoints that are there.</param>
    public static async Task<CodedRun> LoadAsync(HarnessBuilder builder, CodedSurroundings around, bool fresh = false)
    {
        var folder = around.Folder ?? "/system";
        var state = around.State is { } choice
            ? await StateHome.OpenAsync(choice, new StateStart(fresh), "coded", folder, TimeProvider.System, around.Logs.CreateLogger("state"), default)
            : null;
        var letters = new Letters();
        var run = new CodedRun
        {
            State = state,
            Assembly = new SystemAssembly(around.Shape(builder.Plan(folder)), new RunMaterials
            {
                Time = around.Time,
                Random = new Random(1),
                Logs = around.Logs,
                Times = around.Times,
                Create = builder.Create,
                CreateCapability = around.CreateCapability,
                DeadLetters = letters,
                Describe = f => JsonSerializer.SerializeToElement(f.Error.Message),
                State = state,
                Checkpoints = new CheckpointTimes(around.Interval, around.Items),
                GraphHash = "coded",
                Run = "r1",
            }),
        };
        letters.Run = run;
        return run;
    }

    /// <summary>Runs it to its end.</summary>
    /// <exception cref="TimeoutException">It did not end within two minutes.</exception>
    public Task<RunResult> RunAsync(CancellationToken stop = default, CancellationToken force = default, Action? started = null)
    {
        Assembly.Run.Started = started;
        return Task.Run(() => Assembly.Run.RunAsync(new RunTokens(stop, force))).WaitAsync(TimeSpan.FromMinutes(Drill.Full ? 30 : 2));
    }

    public ComponentCounters CountersOf(string component) => Assembly.Run.Hosts.Single(h => h.Plan.Name == component).Loop.Counters;

    public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct)
    {
        if (Refuse is { } refuse)
        {
            return refuse(failure, ct);
        }

        Failures.Enqueue(failure);
        return default;
    }

    public async ValueTask DisposeAsync()
    {
        Assembly.Dispose();
        if (State is not null)
        {
            await State.DisposeAsync();
        }
    }

    private sealed class Letters : IErrorDestination
    {
        public CodedRun? Run { get; set; }

        public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct) => Run!.TakeAsync(failure, ct);
    }
}

/// <summary>What a system made in code runs in.</summary>
internal sealed record CodedSurroundings
{
    public TimeProvider Time { get; init; } = TimeProvider.System;

    public LifecycleTimes Times { get; init; } = new();

    public ILoggerFactory Logs { get; init; } = NullLoggerFactory.Instance;

    /// <summary>The system's folder; null for systems that touch no disk.</summary>
    public string? Folder { get; init; }

    /// <summary>Where checkpoints are kept; null: none are taken.</summary>
    public StateChoice? State { get; init; }

    public TimeSpan Interval { get; init; } = TimeSpan.FromHours(1);

    public long? Items { get; init; }

    public Func<CapabilityPlan, Capability> CreateCapability { get; init; } = static _ => throw new NotSupportedException("none here");

    /// <summary>Changes the plan made in code.</summary>
    public Func<SystemPlan, SystemPlan> Shape { get; init; } = static p => p;

    /// <summary>Checkpoints in one adapter.</summary>
    /// <param name="adapter">Its name.</param>
    /// <param name="redis">Where, for Redis.</param>
    public static StateChoice Adapter(string adapter, string? redis = null) =>
        StateChoice.Of(new StatePlan { Adapter = adapter, RedisUrl = redis }, new Dictionary<string, StatePlan>(), new StateSettings());
}
