using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Checkpoints.Adapters;
using Loom.Harness.Execution;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

/// <summary>What a component had in hand when its loop failed: it comes again, or is a dead letter, and is never just gone.</summary>
public sealed class RestartTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(60);

    private readonly TaskCompletionSource<SystemAssembly> _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _goOn = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RunKit _kit = new();
    private readonly List<(long Data, int Attempt)> _kept = [];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tick_FailsWhileABatchGathers_ItsEventsComeAgainOrAreDeadLetters(bool isolated)
    {
        var failed = 0;
        var result = await RunAsync(
            () => new Part(this, tick: () =>
            {
                if (Taken("part") == 63 && (isolated || failed++ == 0))
                {
                    _goOn.TrySetResult();
                    throw new InvalidOperationException("this tick fails");
                }
            }),
            p => p with { Mode = ProcessingMode.Batch, Batching = new BatchingPlan { MaxItems = 100, MaxWait = TimeSpan.FromHours(1) }, Restart = Restarts(isolated ? 0 : 3, isolated ? OnExhausted.Isolate : OnExhausted.FailSystem) });

        result.ExitCode.ShouldBe(isolated ? RunResult.Failed : RunResult.Ended);
        var all = Enumerable.Range(0, 70).Select(n => (long)n);
        (isolated ? _kit.Failures.Select(f => f.Payload.GetInt64()) : _kept.Select(k => k.Data)).ShouldBe(all);
        _kept.ShouldAllBe(k => k.Attempt == 1); // nobody had begun with them
        var counters = (await _started.Task).Run.Hosts[1].Loop.Counters;
        (counters.Taken, counters.Done + counters.Failed, counters.Lost).ShouldBe((70, 70, 0));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Tick_FailsWhileEventsAreInWork_TheyComeAgainAndCountAttempts(bool byKey)
    {
        var failed = 0;
        var inWork = 0;
        var result = await RunAsync(
            () => new Part(
                this,
                handle: async (e, ct) =>
                {
                    if (e is { Attempt: 1, Data: < 4 })
                    {
                        Interlocked.Increment(ref inWork);
                        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
                    }
                },
                tick: () =>
                {
                    if (Volatile.Read(ref inWork) == 4 && failed++ == 0)
                    {
                        _goOn.TrySetResult();
                        throw new InvalidOperationException("this tick fails");
                    }
                }),
            p => p with { Concurrency = 4, Ordering = byKey ? ItemOrder.Key : ItemOrder.Strict, Restart = Restarts(3) });

        result.ExitCode.ShouldBe(RunResult.Ended);
        _kept.Order().ShouldBe(Enumerable.Range(0, 70).Select(n => ((long)n, n < 4 ? 2 : 1)));
        _kit.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task Event_InHandOfItsThirdDelivery_IsADeadLetter()
    {
        var (deliveries, begun) = (new List<int>(), 0);
        var result = await RunAsync(
            () => new Part(
                this,
                handle: async (e, ct) =>
                {
                    if (e.Data == 5)
                    {
                        deliveries.Add(e.Attempt);
                        Volatile.Write(ref begun, 1);
                        await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
                    }
                },
                tick: () =>
                {
                    if (Interlocked.Exchange(ref begun, 0) == 1)
                    {
                        _goOn.TrySetResult();
                        throw new InvalidOperationException("this tick fails");
                    }
                }),
            p => p with { Concurrency = 2, Restart = Restarts(5) });

        result.ExitCode.ShouldBe(RunResult.Ended);
        deliveries.ShouldBe([1, 2, 3]);
        _kit.Failures.Select(f => (f.Payload.GetInt64(), f.Attempt)).ShouldBe([(5L, 3)]);
        _kept.Select(k => k.Data).ShouldNotContain(5);
        _kept.Select(k => k.Data).Distinct().Count().ShouldBe(69);
    }

    [Fact]
    public async Task ErrorDestination_FailsOnce_TheEventComesAgainAndIsTaken()
    {
        var failures = 0;
        _goOn.SetResult();
        var kit = new RunKit
        {
            Taking = _ =>
            {
                if (failures++ == 0)
                {
                    throw new InvalidOperationException("broken");
                }
            },
        };
        var result = await RunAsync(
            () => new Part(this, handle: (e, _) => e.Data == 2 ? throw new ItemException("bad", "two") : Task.CompletedTask), p => p with { Restart = Restarts(3) }, kit);
        result.ExitCode.ShouldBe(RunResult.Ended);
        _kept.Select(k => k.Data).ShouldBe(Enumerable.Range(0, 70).Select(n => (long)n).Where(n => n != 2));
        kit.Failures.Select(f => (f.Payload.GetInt64(), f.Attempt)).ShouldBe([(2L, 1)]);
    }

    [Fact]
    public async Task Isolated_ErrorPortIsBound_ItsReaderGetsEveryFailureAndThenItsEnd()
    {
        var failed = new List<string>();
        _goOn.SetResult();
        var result = await RunAsync(
            () => new Part(this, handle: (e, _) => e.Data >= 60 ? throw new Loom.Harness.Commands.ComponentFailedException("for good") : Task.CompletedTask),
            p => p with { Restart = Restarts(1, OnExhausted.Isolate) },
            extend: b => b.Add("failed", () => new Failed(failed)).Bind("part.errors", "failed.in"));
        result.ExitCode.ShouldBe(RunResult.Failed);
        failed.ShouldBe(Enumerable.Range(60, 10).Select(n => $"numbers:0:{n}"));
        _kit.Failures.ShouldBeEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Isolated_WithState_LaterCheckpointsHoldItsLastStateAndNoneThatIsOfNoOneMoment(bool partial)
    {
        var store = new InMemoryState();
        using var force = new CancellationTokenSource();
        CheckpointInfo? info = null;
        await using (var home = await OpenAsync(store))
        {
            var builder = new HarnessBuilder("system")
                .Add("first", () => new Waits(5, _goOn.Task))
                .Add("second", () => new Waits(5, _goOn.Task))
                .Add("sum", () => new Sum(), p => p with
                {
                    Restart = Restarts(1, OnExhausted.Isolate),
                    Ports = partial ? [.. p.Ports.Select(o => o.Name == "in" ? o with { FanIn = FanIn.Concatenate } : o)] : p.Ports,
                })
                .Bind("first.out", "sum.in")
                .Bind("second.out", "sum.in");
            var kit = new RunKit { State = home };
            Task? taking = null;
            await kit.RunAsync(builder, force: force.Token, started: a => taking = Task.Run(async () =>
            {
                SpinWait.SpinUntil(() => kit.Failures.Count == (partial ? 3 : 8), s_long).ShouldBeTrue();
                info = await a.Checkpoints!.TakeAsync(CancellationToken.None);
                await force.CancelAsync();
            }));
            await taking!.WaitAsync(s_long, TestContext.Current.CancellationToken);
        }

        if (partial)
        {
            info.ShouldBeNull();
            return;
        }

        info.ShouldNotBeNull();
        await using var again = await OpenAsync(store);
        var state = await again.Resumed!.StateOfAsync("sum", TestContext.Current.CancellationToken);
        using var reader = new StreamReader(state.ShouldNotBeNull().Content);
        (await reader.ReadToEndAsync(TestContext.Current.CancellationToken)).ShouldBe("2");
    }

    [Fact]
    public async Task Lost_AnEventIsGone_NothingIsStored()
    {
        var store = new InMemoryState();
        CheckpointInfo? info = null;
        await using (var home = await OpenAsync(store))
        {
            Task? taking = null;
            var result = await new RunKit { State = home }.RunAsync(
                new HarnessBuilder("system").Add("numbers", () => new Waits(5, _goOn.Task)).Add("sum", () => new Sum(int.MaxValue)).Bind("numbers.out", "sum.in"),
                started: a => taking = Task.Run(async () =>
                {
                    var counters = a.Run.Hosts[1].Loop.Counters;
                    SpinWait.SpinUntil(() => counters.Done == 5, s_long).ShouldBeTrue();
                    counters.CountTaken();
                    counters.CountLost();
                    info = await a.Checkpoints!.TakeAsync(CancellationToken.None);
                    _goOn.SetResult();
                }));
            await taking!.WaitAsync(s_long, TestContext.Current.CancellationToken);
            result.ExitCode.ShouldBe(RunResult.Failed);
            result.Reason.ShouldContain("1 event in hand of \"sum\"");
        }

        info.ShouldBeNull();
        await using var again = await OpenAsync(store);
        again.Resumed.ShouldBeNull();
    }

    private long Taken(string component) => _started.Task.IsCompleted ? _started.Task.Result.Run.Hosts.Single(h => h.Plan.Name == component).Loop.Counters.Taken : 0;

    private Task<RunResult> RunAsync(Func<Part> make, Func<ComponentPlan, ComponentPlan> shape, RunKit? kit = null, Func<HarnessBuilder, HarnessBuilder>? extend = null)
    {
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Waits(63, _goOn.Task, 7))
            .Add("part", make, shape)
            .Bind("numbers.out", "part.in");
        return (kit ?? _kit).RunAsync(extend?.Invoke(builder) ?? builder, started: _started.SetResult);
    }

    private static RestartPlan Restarts(int attempts, OnExhausted then = OnExhausted.FailSystem) =>
        new() { Attempts = attempts, Backoff = TimeSpan.FromMilliseconds(1), OnExhausted = then };

    private static async Task<StateHome> OpenAsync(InMemoryState store)
    {
        var choice = StateChoice.Of(new StatePlan { Adapter = InMemoryState.AdapterName }, new Dictionary<string, StatePlan>(), new StateSettings());
        return await StateHome.OverAsync(
            () => new CheckpointStore(store, "system", choice.Options, TimeProvider.System, NullLogger.Instance), choice, new StateStart(), "system", TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken);
    }

    // So many numbers, and some more when it may go on.
    private sealed class Waits(int count, Task goOn, int more = 0) : Source<long>
    {
        private int _next;

        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            if (_next == count)
            {
                await goOn.WaitAsync(ct);
            }

            return _next < count + more ? Read<long>.Item(_next, _next, ++_next) : Read<long>.End;
        }
    }

    private sealed class Part(RestartTests test, Func<Event<long>, CancellationToken, Task>? handle = null, Action? tick = null) : Sink<long>
    {
        protected internal override TimeSpan? Tick => tick is null ? null : TimeSpan.FromMilliseconds(5);

        protected override async ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            await (handle?.Invoke(e, ct) ?? Task.CompletedTask);
            lock (test._kept)
            {
                test._kept.Add((e.Data, e.Attempt));
            }
        }

        protected internal override ValueTask OnTickAsync(DateTimeOffset now, Emitter<long> output, CancellationToken ct)
        {
            tick!();
            return default;
        }
    }

    private sealed class Failed(List<string> ids) : Sink<JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
        {
            ids.Add(e.Id.ToString());
            return default;
        }
    }

    [Component("test.sum", Type = ComponentType.Sink, StateVersion = 1)]
    private sealed class Sum(int most = 2) : Sink<long>
    {
        private int _count;

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            if (_count == most)
            {
                throw new Loom.Harness.Commands.ComponentFailedException("for good");
            }

            _count++;
            return default;
        }

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
        {
            var text = System.Text.Encoding.UTF8.GetBytes($"{_count}");
            return new((StateWriter?)((into, token) => into.WriteAsync(text, token)));
        }
    }
}
