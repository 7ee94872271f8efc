using System.Text.Json;
using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Harness.Components.BuiltIns.Transform;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Control;

public sealed class ControlTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(180);

    private readonly RunKit _kit = new();

    [Fact]
    public async Task PauseAndResume_OverAControlStream_HoldTheComponentAndLetItGoOn()
    {
        var kept = new List<Event<long>>();
        var orders = new Orders(new ControlOperation { Op = "pause" }, new ControlOperation { Op = "resume" });
        var builder = Line(orders, 5000, kept, (e, o, ct) => o.SendAsync(e, ct));
        var run = _kit.RunAsync(builder, started: assembly => _ = Task.Run(() =>
        {
            var host = Host(assembly, "apply");
            SpinWait.SpinUntil(() => host.State == ComponentState.Paused, s_long).ShouldBeTrue();
            host.Loop.Pause.Reason.ShouldBe("asked to pause by orders.control");
            orders.Go();
        }));
        // The first order is given before there is anything to do.
        orders.Go();
        (await run).ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(5000);
        _kit.Failures.ShouldBeEmpty();
    }

    [Fact]
    public async Task SetRate_OfASource_ReadsAtThatRateUntilItIsLifted()
    {
        var time = new ManualTimeProvider();
        var kit = new RunKit { Time = time };
        var kept = new List<Event<long>>();
        var orders = new Orders(new ControlOperation { Op = "set_rate", Rate = 10, Burst = 1 }, new ControlOperation { Op = "set_rate", Rate = 0 });
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new SlowStart(1000, gate.Task))
            .Add("keep", () => new Keep(kept))
            .Add("orders", () => orders)
            .Bind("numbers.out", "keep.in")
            .Bind("orders.control", "numbers.control");
        var (held, lifted) = (TimeSpan.Zero, TimeSpan.Zero);
        var pumping = Task.CompletedTask;
        var result = await kit.RunAsync(builder, started: assembly => pumping = Task.Run(() =>
        {
            var counters = Host(assembly, "numbers").Loop.Counters;
            Order(time, orders, assembly, 1);
            gate.SetResult();
            held = Pump(time, () => counters.Taken >= 12);
            Order(time, orders, assembly, 2);
            lifted = Pump(time, () => counters.Taken >= 1000, most: TimeSpan.FromSeconds(60));
        }));
        await pumping;
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(1000);
        // One read was under way before the order came, and the next was saved up; ten waited a tenth of a second each.
        held.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(0.99));
        lifted.ShouldBeLessThanOrEqualTo(TimeSpan.FromSeconds(60), "at ten a second a thousand would have taken longer");
    }

    [Fact]
    public async Task SetRate_OfAComponentWithoutARateLimiter_HoldsItsChainBack()
    {
        var time = new ManualTimeProvider();
        var kit = new RunKit { Time = time };
        var kept = new List<Event<long>>();
        var orders = new Orders(new ControlOperation { Op = "set_rate", Rate = 10, Burst = 1 });
        var limiter = HarnessBuilder.Capability(StandardCapability.RateLimiter, new RateLimiterSettings()) with { Declared = false };
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new SlowStart(20, gate.Task))
            .Add("apply", () => new Apply((e, o, ct) => o.SendAsync(e, ct)), p => p with { Capabilities = [limiter] })
            .Add("keep", () => new Keep(kept))
            .Add("orders", () => orders)
            .Bind("numbers.out", "apply.in")
            .Bind("apply.out", "keep.in")
            .Bind("orders.control", "apply.control");
        var held = TimeSpan.Zero;
        var pumping = Task.CompletedTask;
        var result = await kit.RunAsync(builder, started: assembly => pumping = Task.Run(() =>
        {
            var counters = Host(assembly, "apply").Loop.Counters;
            Order(time, orders, assembly, 1);
            gate.SetResult();
            held = Pump(time, () => counters.Done == 20);
        }));
        await pumping;
        result.ExitCode.ShouldBe(RunResult.Ended);
        // The first was saved up.
        held.ShouldBeGreaterThanOrEqualTo(TimeSpan.FromSeconds(1.89));
    }

    [Fact]
    public async Task SetConfig_HotKey_TakesEffectBetweenTwoEvents()
    {
        var kept = new List<Event<JsonElement>>();
        var options = new FilterOptions { Condition = Expression.Compile("data.n >= 0") };
        var orders = new Orders(new ControlOperation { Op = "set_config", Config = JsonElement.Parse("""{"condition": "data.n < 0"}""") });
        var applied = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("system")
            .Add("make", () => new Json(100, 50, applied.Task))
            .Add("filter", () => new FilterTransformer(options), p => p with { Options = options })
            .Add("keep", () => new KeepJson(kept))
            .Add("orders", () => orders)
            .Bind("make.out", "filter.in")
            .Bind("filter.out", "keep.in")
            .Bind("orders.control", "filter.control");
        var result = await _kit.RunAsync(builder, started: assembly => _ = Task.Run(() =>
        {
            var loop = Host(assembly, "filter").Loop;
            SpinWait.SpinUntil(() => loop.Counters.Done == 50, s_long);
            orders.Go();
            SpinWait.SpinUntil(() => loop.Controls.Options != (object)options, s_long);
            applied.SetResult();
        }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(50);
    }

    [Theory]
    [InlineData("""{"op": "set_config", "config": {"on_missing": "perhaps"}}""", "control_refused", "on_missing")]
    [InlineData("""{"op": "set_config", "config": {"conditio": "true"}}""", "control_refused", "is not there")]
    [InlineData("""{"op": "set_config"}""", "control_invalid", "config")]
    [InlineData("""{"op": "set_rate", "rate": -1}""", "control_invalid", "rate")]
    [InlineData("""{"op": "stop"}""", "control_invalid", "pause, resume, set_rate, set_config")]
    [InlineData("[1]", "control_invalid", "op")]
    public async Task ControlEvent_ThatCannotBeCarriedOut_IsADeadLetterOfItsPortAndTheRunGoesOn(string json, string code, string says)
    {
        var options = new FilterOptions { Condition = Expression.Compile("data.n >= 0") };
        var orders = new Orders(JsonElement.Parse(json));
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("system")
            .Add("make", () => new Json(10, 0, gate.Task))
            .Add("filter", () => new FilterTransformer(options), p => p with { Options = options })
            .Add("keep", () => new KeepJson([]))
            .Add("orders", () => orders)
            .Bind("make.out", "filter.in")
            .Bind("filter.out", "keep.in")
            .Bind("orders.control", "filter.control");
        orders.Go();
        var result = await _kit.RunAsync(builder, started: assembly => _ = Task.Run(() =>
        {
            SpinWait.SpinUntil(() => !_kit.Failures.IsEmpty, s_long);
            gate.SetResult();
        }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        var failure = _kit.Failures.ShouldHaveSingleItem();
        (failure.Component, failure.Port, ErrorClasses.CodeOf(failure.Error)).ShouldBe(("filter", "control", code));
        failure.Error.Message.ShouldContain(says);
    }

    [Fact]
    public async Task OperationForAnother_IsPassedOver()
    {
        var kept = new List<Event<long>>();
        var orders = new Orders(new ControlOperation { Op = "pause", Component = "keep" });
        orders.Go();
        (await _kit.RunAsync(Line(orders, 100, kept, (e, o, ct) => o.SendAsync(e, ct)))).ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(100);
    }

    [Fact]
    public void Change_KeyThatIsNotHot_IsRefusedWithTheKeysThatAre()
    {
        var findings = new Loom.Harness.Architecture.Checks.FindingList();
        var binder = new Loom.Harness.Components.Options.OptionsBinder("component \"make\"", findings);
        binder.Change(typeof(GenerateOptions), new GenerateOptions(), JsonElement.Parse("""{"count": 5}""")).ShouldBeNull();
        findings.Sorted().ShouldHaveSingleItem().Message.ShouldBe("component \"make\": config key \"count\" cannot be changed while it runs (keys that can: rate)");
        var changed = new Loom.Harness.Components.Options.OptionsBinder("x", new()).Change(typeof(GenerateOptions), new GenerateOptions { Seed = 7 }, JsonElement.Parse("""{"rate": 5}"""));
        changed.ShouldBe(new GenerateOptions { Seed = 7, Rate = 5 });
    }

    private static void Order(ManualTimeProvider time, Orders orders, SystemAssembly assembly, int number)
    {
        orders.Go();
        var stream = assembly.Run.Streams.Single(s => s.Plan.FromComponent == "orders");
        SpinWait.SpinUntil(
            () =>
            {
                time.Advance(TimeSpan.FromMilliseconds(1));
                return stream.Snapshot().In >= number;
            },
            s_long).ShouldBeTrue();
    }

    // Moves the clock until something is so, or as far as it may, and says how far. Who is held up by a busy machine does not see more time go by for it.
    private static TimeSpan Pump(ManualTimeProvider time, Func<bool> until, TimeSpan? most = null)
    {
        var begun = time.GetTimestamp();
        SpinWait.SpinUntil(
            () =>
            {
                if (until())
                {
                    return true;
                }

                if (most is null || time.GetElapsedTime(begun) < most)
                {
                    time.Advance(TimeSpan.FromMilliseconds(5));
                }

                return false;
            },
            s_long).ShouldBeTrue();
        return time.GetElapsedTime(begun);
    }

    private static ComponentHost Host(SystemAssembly assembly, string name) => assembly.Run.Hosts.Single(h => h.Plan.Name == name);

    private static HarnessBuilder Line(Orders orders, int count, List<Event<long>> kept, Func<Event<long>, Emitter<long>, CancellationToken, ValueTask> handle) =>
        new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(count))
            .Add("apply", () => new Apply(async (e, o, ct) =>
            {
                // Nothing ends before the orders were given.
                await orders.Begun.WaitAsync(s_long, ct);
                await handle(e, o, ct);
            }))
            .Add("keep", () => new Keep(kept))
            .Add("orders", () => orders)
            .Bind("numbers.out", "apply.in")
            .Bind("apply.out", "keep.in")
            .Bind("orders.control", "apply.control");

    // Gives the next order at its next tick each time it is told to.
    private sealed class Orders(params JsonElement[] orders) : Controller
    {
        private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _allowed;
        private int _given;

        public Orders(params ControlOperation[] orders)
            : this([.. orders.Select(o => o.ToJson())])
        {
        }

        public Task Begun => _begun.Task;

        protected internal override TimeSpan? Tick => TimeSpan.FromMilliseconds(1);

        public void Go() => Interlocked.Increment(ref _allowed);

        protected internal override async ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct)
        {
            while (_given < Volatile.Read(ref _allowed) && _given < orders.Length)
            {
                await output.SendAsync(new Event<JsonElement>(EventId.Root("orders:control", _given), orders[_given++], time: now), ct);
            }

            if (_given > 0)
            {
                _begun.TrySetResult();
            }
        }
    }

    private sealed class SlowStart(int count, Task gate) : Source<long>
    {
        private int _next;

        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            await gate.WaitAsync(ct);
            return _next < count ? Read<long>.Item(_next, _next, ++_next) : Read<long>.End;
        }
    }

    private sealed class Json(int count, int holdAt, Task gate) : Source<JsonElement>
    {
        private int _next;

        protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            if (_next == holdAt)
            {
                await gate.WaitAsync(ct);
            }

            return _next < count ? Read<JsonElement>.Item(JsonElement.Parse($$"""{"n":{{_next}}}"""), _next, ++_next) : Read<JsonElement>.End;
        }
    }

    private sealed class KeepJson(List<Event<JsonElement>> kept) : Sink<JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
        {
            kept.Add(e);
            return default;
        }
    }
}
