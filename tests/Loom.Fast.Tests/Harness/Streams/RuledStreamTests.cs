using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Streams;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Streams;

public sealed class RuledStreamTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(180);

    private readonly ManualTimeProvider _time = new();
    private readonly RunKit _kit = new();

    [Fact]
    public async Task TimeToLive_OlderEvents_AreRefusedAsExpiredWhenTheyWouldBeRead()
    {
        var told = 0;
        var refused = new Refusals(() => told++);
        var stream = New(b => b with { TimeToLive = TimeSpan.FromSeconds(5) }, new StreamRules { TimeToLive = TimeSpan.FromSeconds(5), Refused = refused, Displaced = () => _kit });
        stream.TryWrite(Of(0)).ShouldBeTrue();
        stream.TryWrite(Of(1)).ShouldBeTrue();
        _time.Advance(TimeSpan.FromSeconds(4));
        stream.TryWrite(Of(2)).ShouldBeTrue();
        stream.TryRead(out var first).ShouldBeTrue();
        first.Data.ShouldBe(0);
        _time.Advance(TimeSpan.FromSeconds(2));
        stream.CanRead().ShouldBeTrue();
        stream.TryRead(out var next).ShouldBeTrue();
        next.Data.ShouldBe(2);
        told.ShouldBe(1);
        await refused.SendAsync(_kit, TestContext.Current.CancellationToken);
        var failure = _kit.Failures.ShouldHaveSingleItem();
        (failure.Component, failure.Port, failure.Id.ToString(), ErrorClasses.CodeOf(failure.Error)).ShouldBe(("b", "in", "s:0:1", "expired"));
        var snapshot = stream.Snapshot();
        (snapshot.In, snapshot.Out, snapshot.Depth, snapshot.Dropped).ShouldBe((3, 3, 0, 1));
    }

    [Fact]
    public async Task TimeToLive_ManyExpired_TheStreamGivesNothingUntilTheyAreHandedOn()
    {
        var refused = new Refusals(() => { });
        var stream = New(b => b, new StreamRules { TimeToLive = TimeSpan.FromSeconds(1), Refused = refused, Displaced = () => _kit });
        for (var i = 0; i < 200; i++)
        {
            stream.TryWrite(Of(i)).ShouldBeTrue();
        }

        _time.Advance(TimeSpan.FromSeconds(2));
        stream.TryWrite(Of(200)).ShouldBeTrue();
        for (var round = 0; !stream.TryRead(out _); round++)
        {
            round.ShouldBeLessThan(10);
            await refused.SendAsync(_kit, TestContext.Current.CancellationToken);
        }

        await refused.SendAsync(_kit, TestContext.Current.CancellationToken);
        _kit.Failures.Select(f => f.Id.ToString()).ShouldBe(Enumerable.Range(0, 200).Select(i => $"s:0:{i}"));
    }

    [Fact]
    public async Task DropOldest_FullStream_TheOldestMakesRoomAndGoesToTheDeadLetter()
    {
        var stream = New(b => b with { Buffer = 3 }, new StreamRules { DropOldest = true, Refused = new Refusals(() => { }), Displaced = () => _kit });
        for (var i = 0; i < 10; i++)
        {
            await WriteAsync(stream, Of(i));
        }

        stream.Snapshot().Depth.ShouldBe(3);
        stream.Snapshot().Dropped.ShouldBe(7);
        _kit.Failures.Select(f => f.Id.ToString()).ShouldBe(Enumerable.Range(0, 7).Select(i => $"s:0:{i}"));
        _kit.Failures.ShouldAllBe(f => ErrorClasses.CodeOf(f.Error) == "overflow");
        stream.TryRead(out var oldest).ShouldBeTrue();
        oldest.Data.ShouldBe(7);
    }

    [Fact]
    public async Task DropOldest_PastABarrier_TheBarrierIsStillFound()
    {
        var stream = New(b => b with { Buffer = 2 }, new StreamRules { DropOldest = true, Refused = new Refusals(() => { }), Displaced = () => _kit });
        stream.Mark(new CheckpointBarrier(1));
        for (var i = 0; i < 5; i++)
        {
            await WriteAsync(stream, Of(i));
        }

        stream.CanRead().ShouldBeFalse();
        stream.AtMark.ShouldBeTrue();
        stream.TryTakeMark(out var barrier).ShouldBeTrue();
        barrier.Number.ShouldBe(1);
        stream.TryRead(out var e).ShouldBeTrue();
        e.Data.ShouldBe(3);
    }

    [Fact]
    public void Pull_NobodyAsks_NothingIsSent()
    {
        var stream = New(b => b, new StreamRules { Pull = true, Refused = new Refusals(() => { }), Displaced = () => _kit });
        stream.TryWrite(Of(0)).ShouldBeFalse();
        stream.TryRead(out _).ShouldBeFalse();
        stream.TryWrite(Of(0)).ShouldBeTrue();
        stream.TryWrite(Of(1)).ShouldBeFalse();
        stream.TryRead(out _).ShouldBeTrue();
        // Taking one asks for none.
        stream.TryWrite(Of(1)).ShouldBeFalse();
        stream.CanRead().ShouldBeFalse();
        stream.TryWrite(Of(1)).ShouldBeTrue();
    }

    [Fact]
    public async Task CanRead_FewerThanWantedAndTheWriterStands_OffersWhatIsThere()
    {
        var plan = new BindingPlan { Name = "a.out->b.in", FromComponent = "a", FromPort = "out", ToComponent = "b", ToPort = "in", BufferBytes = 100 };
        var stream = new RuledStream<string>(plan, new StreamRules { Refused = new Refusals(() => { }), Displaced = () => _kit }, null, new Signal(), new Signal(), _time);
        var large = new Event<string>(EventId.Root("s:0", 0), new string('x', 40));
        stream.TryWrite(large).ShouldBeTrue();
        stream.TryWrite(large).ShouldBeFalse();
        stream.CanRead(10).ShouldBeFalse();

        var waiting = stream.WaitForRoomAsync(large, TestContext.Current.CancellationToken).AsTask();
        stream.CanRead(10).ShouldBeTrue();
        stream.TryRead(out _).ShouldBeTrue();
        await waiting.WaitAsync(s_long, TestContext.Current.CancellationToken);
        stream.TryWrite(large).ShouldBeTrue();
        stream.CanRead(10).ShouldBeFalse();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Run_BatchThatWaitsLongBehindAStreamFullByBytes_IsFilledAllTheSame(bool ruled)
    {
        var batches = new List<int>();
        var kit = new RunKit { Time = _time };
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(100))
            .Add("write", () => new Write())
            .Add("keep", () => new KeepBatches(batches), p => p with { Mode = ProcessingMode.Batch, Batching = new BatchingPlan { MaxItems = 50, MaxWait = TimeSpan.FromHours(1) } })
            .Bind("numbers.out", "write.in")
            .Bind("write.out", "keep.in", b => b with { BufferBytes = 1000, TimeToLive = ruled ? TimeSpan.FromHours(9) : null });
        (await kit.RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        batches.ShouldBe([50, 50]);
    }

    [Fact]
    public async Task Run_PullBinding_DeliversEverythingAndTheProducerIsNeverAhead()
    {
        var kept = new List<Event<long>>();
        var (sent, most) = (0L, 0L);
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(2000))
            .Add("apply", () => new Apply((e, o, ct) =>
            {
                Interlocked.Increment(ref sent);
                return o.SendAsync(e, ct);
            }))
            .Add("keep", () => new KeepAhead(kept, taken => most = Math.Max(most, Interlocked.Read(ref sent) - taken)), p => p with { Ports = [.. p.Ports.Select(port => port with { Flow = port.Name == "in" ? FlowType.Pull : port.Flow })] })
            .Bind("numbers.out", "apply.in")
            .Bind("apply.out", "keep.in");
        (await _kit.RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 2000).Select(n => (long)n));
        // The event in the hand of the producer, and the one it was asked for.
        most.ShouldBeLessThanOrEqualTo(2);
    }

    [Fact]
    public async Task Run_DropOldestWithASlowReader_EveryEventIsDeliveredOrDropped()
    {
        var kept = new List<Event<long>>();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(5000))
            .Add("apply", () => new Apply(async (e, o, ct) =>
            {
                await gate.Task.WaitAsync(ct);
                await o.SendAsync(e, ct);
            }))
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "apply.in", b => b with { Buffer = 10, Overflow = OverflowRule.DropOldest })
            .Bind("apply.out", "keep.in");
        var result = await _kit.RunAsync(builder, started: assembly => _ = Task.Run(() =>
        {
            SpinWait.SpinUntil(() => assembly.Run.Streams[0].Snapshot().In == 5000, s_long);
            gate.SetResult();
        }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.TakeLast(10).Select(e => e.Data).ShouldBe(Enumerable.Range(4990, 10).Select(n => (long)n));
        (kept.Count + _kit.Failures.Count).ShouldBe(5000);
        kept.Select(e => e.Id.ToString()).Concat(_kit.Failures.Select(f => f.Id.ToString())).Distinct().Count().ShouldBe(5000);
    }

    [Fact]
    public async Task Run_TimeToLiveWithAStalledReader_TheOldOnesAreDeadLettersAndTheRunEnds()
    {
        var kept = new List<Event<long>>();
        var kit = new RunKit { Time = _time };
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(500))
            .Add("apply", () => new Apply(async (e, o, ct) =>
            {
                await gate.Task.WaitAsync(ct);
                await o.SendAsync(e, ct);
            }))
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "apply.in", b => b with { TimeToLive = TimeSpan.FromSeconds(10) })
            .Bind("apply.out", "keep.in");
        var result = await kit.RunAsync(builder, started: assembly => _ = Task.Run(() =>
        {
            var stream = assembly.Run.Streams[0];
            SpinWait.SpinUntil(() => stream.Snapshot() is { In: 500, Out: 1 }, s_long);
            _time.Advance(TimeSpan.FromSeconds(11));
            gate.SetResult();
        }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Select(e => e.Data).ShouldBe([0]);
        kit.Failures.Count.ShouldBe(499);
    }

    private static Event<int> Of(int n) => new(EventId.Root("s:0", n), n);

    private static async Task WriteAsync<T>(RuledStream<T> stream, Event<T> e)
    {
        while (!stream.TryWrite(e))
        {
            await stream.WaitForRoomAsync(e, TestContext.Current.CancellationToken).AsTask().WaitAsync(s_long, TestContext.Current.CancellationToken);
        }
    }

    private RuledStream<int> New(Func<BindingPlan, BindingPlan> shape, StreamRules rules) =>
        new(shape(new BindingPlan { Name = "a.out->b.in", FromComponent = "a", FromPort = "out", ToComponent = "b", ToPort = "in" }), rules, null, new Signal(), new Signal(), _time);

    private sealed class Write : Transformer<long, string>
    {
        protected override ValueTask OnItemAsync(Event<long> e, Emitter<string> output, CancellationToken ct) => output.SendAsync(e.With(new string('x', 100)), ct);
    }

    private sealed class KeepBatches(List<int> batches) : Sink<string>
    {
        protected override ValueTask OnItemAsync(Event<string> e, CancellationToken ct) => default;

        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnBatchAsync(Batch<string> batch, BatchEmitter<string> output, CancellationToken ct)
        {
            batches.Add(batch.Count);
            return default;
        }
    }

    private sealed class KeepAhead(List<Event<long>> kept, Action<long> taken) : Sink<long>
    {
        protected override async ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            kept.Add(e);
            await Task.Yield();
            taken(kept.Count);
        }
    }
}
