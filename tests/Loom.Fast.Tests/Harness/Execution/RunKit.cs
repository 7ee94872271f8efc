using System.Collections.Concurrent;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Execution.Scheduling;
using Loom.Harness.Streams.Spills;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Fast.Tests.Harness.Execution;

/// <summary>Runs systems made in code, without disk and without state.</summary>
internal sealed class RunKit : IErrorDestination
{
    public ConcurrentQueue<ItemFailure> Failures { get; } = [];

    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Changes the system's policy.</summary>
    public Func<PolicyPlan, PolicyPlan> Policy { get; init; } = static p => p;

    public LifecycleTimes Times { get; init; } = new();

    public Func<BindingPlan, ISpillFiles>? Spills { get; init; }

    /// <summary>Runs it one thing at a time, by its own clock.</summary>
    public DeterministicScheduler? Scheduler { get; init; }

    public StateHome? State { get; init; }

    /// <summary>A text about a failed event as it may be told.</summary>
    public Func<ItemFailure, string, string> Clean { get; init; } = static (_, text) => text;

    /// <summary>Called with a failure before it is taken; what it throws comes out of the destination.</summary>
    public Action<ItemFailure>? Taking { get; init; }

    public async Task<RunResult> RunAsync(HarnessBuilder builder, CancellationToken stop = default, CancellationToken force = default, Action<SystemAssembly>? started = null)
    {
        using var assembly = Assemble(builder);
        assembly.Run.Started = () => started?.Invoke(assembly);
        Task<RunResult> Run() => assembly.Run.RunAsync(new RunTokens(stop, force));
        return await (Scheduler is null ? Run() : Scheduler.RunAsync(Run)).WaitAsync(TimeSpan.FromSeconds(180));
    }

    public SystemAssembly Assemble(HarnessBuilder builder) => new(WithPolicy(builder.Plan("/system")), new RunMaterials
    {
        Time = Scheduler?.Time ?? Time,
        Scheduler = Scheduler,
        Random = new Random(1),
        Logs = NullLoggerFactory.Instance,
        Times = Times,
        Create = builder.Create,
        CreateCapability = _ => throw new NotSupportedException("none here"),
        DeadLetters = this,
        Describe = f => JsonSerializer.SerializeToElement(f.Error.Message),
        Clean = Clean,
        Checkpoints = new CheckpointTimes(TimeSpan.FromHours(1), null),
        GraphHash = "test",
        Run = "r1",
        Spills = Spills,
        State = State,
    });

    private SystemPlan WithPolicy(SystemPlan plan) => plan with { Policy = Policy(plan.Policy) };

    public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct)
    {
        Taking?.Invoke(failure);
        Failures.Enqueue(failure);
        return default;
    }
}

internal sealed class Numbers(int count) : Source<long>
{
    private int _next;

    protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
        new(_next < count ? Read<long>.Item(_next, _next, ++_next) : Read<long>.End);
}

internal sealed class Apply(Func<Event<long>, Emitter<long>, CancellationToken, ValueTask> handle) : Transformer<long, long>
{
    protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => handle(e, output, ct);
}

internal sealed class Keep(List<Event<long>> kept) : Sink<long>
{
    protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
    {
        kept.Add(e);
        return default;
    }
}
