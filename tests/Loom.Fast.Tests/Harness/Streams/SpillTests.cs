using System.Text.Json;
using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Api;
using Loom.Harness.Architecture;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Streams;
using Loom.Harness.Streams.Spills;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Streams;

public sealed class SpillTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(60);

    private readonly MemorySpillFiles _files = new();
    private readonly RunKit _kit = new();
    private readonly Refusals _refused = new(() => { });

    [Fact]
    public void WriteAndRead_MoreThanMemoryHolds_KeepsOrderAndLeavesNoFile()
    {
        var stream = New(10);
        var random = new Random(7);
        var (written, read) = (0, 0);
        while (read < 5000)
        {
            for (var n = random.Next(200); n > 0 && written < 5000; n--)
            {
                stream.TryWrite(Of(written++)).ShouldBeTrue();
            }

            for (var n = random.Next(200); n > 0 && stream.TryRead(out var e); n--)
            {
                e.Data.GetProperty("n"u8).GetInt32().ShouldBe(read++);
                e.Key.ShouldBe($"k{e.Data.GetProperty("n"u8).GetInt32() % 3}");
            }

            var snapshot = stream.Snapshot();
            (snapshot.Depth, snapshot.Depth - snapshot.Spilled <= 10).ShouldBe((written - read, true));
        }

        _files.Files.ShouldBeEmpty();
    }

    [Fact]
    public void Mark_AmongSpilledEvents_KeepsItsPlace()
    {
        var stream = New(5);
        for (var i = 0; i < 500; i++)
        {
            if (i % 100 == 50)
            {
                stream.Mark(new CheckpointBarrier(i));
            }

            stream.TryWrite(Of(i)).ShouldBeTrue();
        }

        for (var i = 0; i < 500; i++)
        {
            if (i % 100 == 50)
            {
                stream.TryRead(out _).ShouldBeFalse();
                stream.TryTakeMark(out var barrier).ShouldBeTrue();
                barrier.Number.ShouldBe(i);
            }

            stream.TryRead(out var e).ShouldBeTrue();
            e.Data.GetProperty("n"u8).GetInt32().ShouldBe(i);
        }
    }

    [Fact]
    public void SpillBytes_Reached_BlocksUntilTheReaderHasMovedOn()
    {
        var stream = New(5, spillBytes: 200_000);
        var written = 0;
        while (stream.TryWrite(Of(written)))
        {
            written++;
            _files.Files.Sum(f => f.Value.Length).ShouldBeLessThanOrEqualTo(200_000);
        }

        written.ShouldBeInRange(500, 5000);
        for (var i = 0; i < written; i++)
        {
            stream.TryRead(out var e).ShouldBeTrue();
            e.Data.GetProperty("n"u8).GetInt32().ShouldBe(i);
        }

        stream.TryWrite(Of(written)).ShouldBeTrue();
    }

    [Fact]
    public async Task DiskFull_BlocksAndDegradesHealth_AndRecoversWithoutHelp()
    {
        var stream = New(5);
        _files.Room = 10_000;
        var written = 0;
        while (stream.TryWrite(Of(written)))
        {
            written++;
        }

        stream.Snapshot().Trouble.ShouldBe("No space left on device");
        var snapshot = new RunSnapshot([], [stream.Snapshot()], null, null);
        var verdict = SystemHealth.Judge(snapshot, new HealthFacts(true, null, null, [], []));
        verdict.State.ShouldBe(HealthState.Degraded);
        verdict.Reasons.ShouldHaveSingleItem().ShouldContain("No space left on device");
        // A refusal is not asked about again and again.
        stream.TryWrite(Of(written)).ShouldBeFalse();
        _files.Refusals.ShouldBe(1);

        var waiting = stream.WaitForRoomAsync(Of(written), TestContext.Current.CancellationToken).AsTask();
        waiting.IsCompleted.ShouldBeFalse();
        _files.Room = long.MaxValue;
        for (var i = 0; i < 6; i++)
        {
            stream.TryRead(out _).ShouldBeTrue();
        }

        await waiting.WaitAsync(s_long, TestContext.Current.CancellationToken);
        stream.TryWrite(Of(written)).ShouldBeTrue();
        stream.Snapshot().Trouble.ShouldBeNull();
    }

    [Theory]
    [InlineData("bit")]
    [InlineData("cut")]
    [InlineData("gone")]
    public async Task DamagedFrame_IsSetAsideAndReportedAndTheRestArrives(string how)
    {
        var builder = Slow(2000, b => b, out var kept, out var release);
        var spoiled = 0;
        _files.Spoil = (_, _, bytes) =>
        {
            if (spoiled++ != 3)
            {
                return bytes.Length;
            }

            bytes.Span[bytes.Length / 2] ^= how == "bit" ? (byte)4 : (byte)0;
            return how switch { "cut" => bytes.Length - 7, "gone" => throw new IOException("Input/output error"), _ => bytes.Length };
        };
        var kit = new RunKit { Spills = _ => _files };
        var result = await kit.RunAsync(builder, started: release);
        result.ExitCode.ShouldBe(RunResult.Ended);
        var failure = kit.Failures.ShouldHaveSingleItem();
        ErrorClasses.CodeOf(failure.Error).ShouldBe("spill_damaged");
        failure.Error.Message.ShouldContain("frame 4 ");
        _files.Aside.Count.ShouldBe(1);
        kept.Count.ShouldBe(2000 - 64);
        kept.Select(e => e.Data).ShouldBeInOrder();
    }

    [Fact]
    public async Task Run_SlowReader_SpillsEverythingAndDeliversInOrder()
    {
        var builder = Slow(20_000, b => b, out var kept, out var release);
        var kit = new RunKit { Spills = _ => _files };
        (await kit.RunAsync(builder, started: release)).ExitCode.ShouldBe(RunResult.Ended);
        kept.Select(e => e.Data).ShouldBe(Enumerable.Range(0, 20_000).Select(n => (long)n));
        kit.Failures.ShouldBeEmpty();
        _files.Files.ShouldBeEmpty();
    }

    [Fact]
    public void Codec_WholeEvent_ComesBackAsItWas()
    {
        var e = new Event<string>(EventId.Parse("s:0:7/1/2"), "text", "key", DateTimeOffset.UnixEpoch.AddTicks(3), mock: true).WithHeader("a", "b").WithAttempt(2);
        var back = EventCodec<string>.Read(EventCodec<string>.Write(e));
        (back.Id, back.Data, back.Key, back.Time, back.Mock, back.Attempt, back.Headers["a"]).ShouldBe((e.Id, e.Data, e.Key, e.Time, e.Mock, e.Attempt, "b"));
    }

    // A reader that stands until everything was written.
    private static HarnessBuilder Slow(int count, Func<BindingPlan, BindingPlan> shape, out List<Event<long>> kept, out Action<SystemAssembly> release)
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        List<Event<long>> all = [];
        kept = all;
        release = assembly => _ = Task.Run(() =>
        {
            SpinWait.SpinUntil(() => assembly.Run.Streams[0].Snapshot().In == count, s_long);
            gate.SetResult();
        });
        return new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(count))
            .Add("apply", () => new Apply(async (e, o, ct) =>
            {
                await gate.Task.WaitAsync(ct);
                await o.SendAsync(e, ct);
            }))
            .Add("keep", () => new Keep(all))
            .Bind("numbers.out", "apply.in", b => shape(b with { Buffer = 8, Overflow = OverflowRule.Spill }))
            .Bind("apply.out", "keep.in");
    }

    private static Event<JsonElement> Of(int n) => new(EventId.Root("s:0", n), JsonElement.Parse($$"""{"n":{{n}},"text":"{{new string('x', n % 50)}}"}"""), $"k{n % 3}");

    private RuledStream<JsonElement> New(int buffer, long spillBytes = 1 << 30)
    {
        var plan = new BindingPlan { Name = "a.out->b.in", FromComponent = "a", FromPort = "out", ToComponent = "b", ToPort = "in", Buffer = buffer, Overflow = OverflowRule.Spill, SpillBytes = spillBytes };
        return new RuledStream<JsonElement>(plan, new StreamRules { Refused = _refused, Displaced = () => _kit }, new Spill<JsonElement>(_files, spillBytes), new Signal(), new Signal(), TimeProvider.System);
    }
}
