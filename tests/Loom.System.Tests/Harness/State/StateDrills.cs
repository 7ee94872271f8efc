using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.State;

/// <summary>The drill "checkpoint store away" of section 17, in its short form: seconds instead of a minute.</summary>
public sealed class StateDrills
{
    [Fact]
    public async Task Store_AwayWhileEventsFlow_FlowGoesOnFailuresAreToldAndItHealsByItself()
    {
        using var folder = new TempFolder();
        await using var redis = RedisServer.Later();
        await redis.StartAgainAsync();
        var choice = StateChoice.Of(new StatePlan { RedisUrl = redis.Url }, new Dictionary<string, StatePlan>(), new StateSettings());
        var home = await StateHome.OpenAsync(choice, new StateStart(), "drill", folder.Path, TimeProvider.System, NullLogger.Instance, default);
        await using var disposeHome = home;
        var count = new Count();
        var builder = new HarnessBuilder("drill").Add("numbers", () => new Numbers()).Add("count", () => count).Bind("numbers.out", "count.in");
        using var assembly = new SystemAssembly(builder.Plan(folder.Path), new RunMaterials
        {
            Time = TimeProvider.System,
            Random = new Random(1),
            Logs = NullLoggerFactory.Instance,
            Times = new LifecycleTimes(),
            Create = builder.Create,
            CreateCapability = _ => throw new NotSupportedException(),
            DeadLetters = new Never(),
            Describe = _ => default,
            State = home,
            Checkpoints = new CheckpointTimes(TimeSpan.FromMilliseconds(200), null),
            GraphHash = "g",
            Run = "1",
        });
        using var stop = new CancellationTokenSource();
        var run = assembly.Run.RunAsync(new RunTokens(stop.Token, CancellationToken.None));
        await Deadline.Until(() => assembly.Checkpoints!.Snapshot.Taken >= 3, "three checkpoints");
        var before = await RateAsync(count);

        await redis.KillAsync();
        var failed = assembly.Checkpoints!.Snapshot.Failed;
        var away = await RateAsync(count);
        await Deadline.Until(() => assembly.Checkpoints.Snapshot.Failed >= failed + 2, "two checkpoints have failed and been told");
        assembly.Checkpoints.Snapshot.LastError.ShouldNotBeNull().ShouldContain("Redis");
        count.Seen.ShouldBeGreaterThan(0);

        var taken = assembly.Checkpoints.Snapshot.Taken;
        await redis.StartAgainAsync();
        await Deadline.Until(() => assembly.Checkpoints.Snapshot.Taken >= taken + 2, "checkpoints are taken again without help");
        assembly.Checkpoints.Snapshot.LastError.ShouldBeNull();
        await stop.CancelAsync();
        (await run).ExitCode.ShouldBe(0);

        // What is stored now is the state at the end: nothing more, nothing less.
        await using var next = await StateHome.OpenAsync(choice, new StateStart(), "drill", folder.Path, TimeProvider.System, NullLogger.Instance, default);
        var resumed = next.Resumed.ShouldNotBeNull();
        resumed.OffsetsOf("numbers")["0"].ShouldBe(count.Seen);
        (away / before).ShouldBeGreaterThan(0.2, "the flow does not wait for the store");
        TestContext.Current.SendDiagnosticMessage($"drill store away: {before:0} items/s before, {away:0} while away, ratio {away / before:0.00}; failed {assembly.Checkpoints.Snapshot.Failed}");
    }

    private static async Task<double> RateAsync(Count count)
    {
        var (start, seen) = (TimeProvider.System.GetTimestamp(), count.Seen);
        await Task.Delay(1500);
        return (count.Seen - seen) / TimeProvider.System.GetElapsedTime(start).TotalSeconds;
    }

    [Component("drill.numbers", Type = ComponentType.Source, Replayable = true)]
    private sealed class Numbers : Source<long>
    {
        private long _next;

        protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
        {
            _next = next.GetValueOrDefault("0");
            return default;
        }

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) => new(Read<long>.Item(_next, _next, ++_next));
    }

    [Component("drill.count", Type = ComponentType.Sink)]
    private sealed class Count : Sink<long>
    {
        private long _seen;

        public long Seen => Volatile.Read(ref _seen);

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            Volatile.Write(ref _seen, _seen + 1);
            return default;
        }
    }

    private sealed class Never : IErrorDestination
    {
        public ValueTask TakeAsync(ItemFailure failure, CancellationToken ct) => throw new InvalidOperationException(failure.Error.Message);
    }
}
