using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Api;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Streams;
using Loom.Harness.Streams.Spills;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Streams;

public sealed class SpillTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(180);

    private readonly MemorySpillFiles _files = new();
    private readonly RunKit _kit = new();
    private readonly Refusals _refused = new(() => { });

    [Fact]
    public void Codec_HalfASurrogatePair_ComesBackAsItWent()
    {
        var half = JsonElement.Parse("""{"p":"\ud83d"}""");
        EventCodec<JsonElement>.Read(EventCodec<JsonElement>.Write(new Event<JsonElement>(EventId.Root("s:0", 1), half))).Data.GetRawText().ShouldBe(half.GetRawText());
    }

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

    [Fact]
    public void Target_PayloadWithoutJson_FailsAloneAndTheNextOnesAreWritten()
    {
        var stream = New<double>(1);
        var target = new StreamTarget<double, double>(stream, e => e);
        foreach (var n in (double[])[0, 1, double.NaN, 2])
        {
            target.Prepare(new Event<double>(EventId.Root("s:0", 0), n));
            if (double.IsNaN(n))
            {
                Should.Throw<ItemException>(() => target.TryWrite()).ShouldSatisfyAllConditions(e => e.Code.ShouldBe("conversion_failed"), e => e.Class.ShouldBe(ErrorClass.Permanent));
            }
            else
            {
                target.TryWrite().ShouldBeTrue();
            }

            target.HasPrepared.ShouldBeFalse();
        }

        Read(stream).ShouldBe([0, 1, 2]);
        stream.Snapshot().Dropped.ShouldBe(1);
    }

    [Fact]
    public async Task Run_PayloadWithoutJsonAmongSpilledOnes_IsOneDeadLetterAndTheRestArrivesOnce()
    {
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var kept = new List<double>();
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(1000))
            .Add("halve", () => new Halve(500))
            .Add("keep", () => new KeepSlowly(kept, gate.Task))
            .Bind("numbers.out", "halve.in")
            .Bind("halve.out", "keep.in", b => b with { Buffer = 8, Overflow = OverflowRule.Spill });
        var kit = new RunKit { Spills = _ => _files };
        var result = await kit.RunAsync(builder, started: assembly => _ = Task.Run(() =>
        {
            SpinWait.SpinUntil(() => assembly.Run.Streams[1].Snapshot().In == 999, s_long);
            gate.SetResult();
        }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.ShouldBe(Enumerable.Range(0, 1000).Where(n => n != 500).Select(n => n / 2.0));
        var failure = kit.Failures.ShouldHaveSingleItem();
        (failure.Id.ToString(), ErrorClasses.CodeOf(failure.Error)).ShouldBe(("numbers:0:500", "conversion_failed"));
        _files.Files.ShouldBeEmpty();
    }

    [Fact]
    public void FrameOfATypeThatCannotBeReadBack_IsCountedAndReportedAndTheStreamEnds()
    {
        Lost<INamed>(new Named("abstract"));
        Lost(new Picky { Value = 1 });

        void Lost<T>(T payload)
        {
            _files.Aside.Clear();
            var stream = New<T>(2);
            for (var i = 0; i < 200; i++)
            {
                stream.TryWrite(new Event<T>(EventId.Root("s:0", i), payload)).ShouldBeTrue();
            }

            stream.Complete();
            Read(stream).Count.ShouldBe(200 - (3 * 64));
            stream.IsEnded.ShouldBeTrue();
            var snapshot = stream.Snapshot();
            (snapshot.Depth, snapshot.Spilled, snapshot.Dropped, _files.Aside.Count, _files.Files.Count).ShouldBe((0, 0, 192, 3, 0));
        }
    }

    [Fact]
    public async Task Refused_FrameOfATypeThatCannotBeReadBack_SaysWhy()
    {
        var stream = New<Picky>(1);
        for (var i = 0; i < 66; i++)
        {
            stream.TryWrite(new Event<Picky>(EventId.Root("s:0", i), new Picky { Value = 1 })).ShouldBeTrue();
        }

        Read(stream).Count.ShouldBe(2);
        await _refused.SendAsync(_kit, TestContext.Current.CancellationToken);
        var failure = _kit.Failures.ShouldHaveSingleItem();
        ErrorClasses.CodeOf(failure.Error).ShouldBe("spill_damaged");
        failure.Error.Message.ShouldContain("with 64 events cannot be read back from disk");
        failure.Error.Message.ShouldContain("too picky");
    }

    [Fact]
    public void Codec_DeepPayload_ComesBackAsItWas()
    {
        var deep = JsonElement.Parse(new string('[', 64) + new string(']', 64));
        EventCodec<JsonElement>.Read(EventCodec<JsonElement>.Write(new Event<JsonElement>(EventId.Root("s:0", 1), deep))).Data.GetRawText().ShouldBe(deep.GetRawText());
    }

    [Fact]
    public void Codec_GetterThatThrows_IsAFailedConversion() =>
        Should.Throw<ItemException>(() => EventCodec<Picky>.Write(new Event<Picky>(EventId.Root("s:0", 1), new Picky { Value = -1 }))).Code.ShouldBe("conversion_failed");

    [Fact]
    public void OutsideEvent_TypeThatThrows_IsRefused()
    {
        OutsideEvent.TryRead<Picky>(new Event<JsonElement>(EventId.Root("s:0", 1), JsonElement.Parse("""{"Seal":1}""")), out _).ShouldBeFalse();
        OutsideEvent.TryRead<Picky>(new Event<JsonElement>(EventId.Root("s:0", 1), JsonElement.Parse("""{"Seal":0}""")), out _).ShouldBeTrue();
    }

    [Fact]
    public async Task Recorder_EventThatCannotBeRead_SaysWhichOne()
    {
        byte[] lines = [.. EventCodec<Picky>.Write(new Event<Picky>(EventId.Root("s:0", 1), new Picky())), (byte)'\n', .. EventCodec<Picky>.Write(new Event<Picky>(EventId.Root("s:0", 2), new Picky { Value = 1 })), (byte)'\n'];
        var error = await Should.ThrowAsync<StateDamagedException>(async () => await FeedbackRecorder<Picky>.ReadAsync(new MemoryStream(lines), TestContext.Current.CancellationToken));
        error.Message.ShouldBe("event 2 of the record cannot be read as Picky: too picky");
    }

    [Fact]
    public void PayloadJson_NotANumber_IsNamed() => PayloadJson.Of(double.NaN).GetString().ShouldBe("NaN");

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

    private RuledStream<JsonElement> New(int buffer, long spillBytes = 1 << 30) => New<JsonElement>(buffer, spillBytes);

    private RuledStream<T> New<T>(int buffer, long spillBytes = 1 << 30)
    {
        var plan = new BindingPlan { Name = "a.out->b.in", FromComponent = "a", FromPort = "out", ToComponent = "b", ToPort = "in", Buffer = buffer, Overflow = OverflowRule.Spill, SpillBytes = spillBytes };
        return new RuledStream<T>(plan, new StreamRules { Refused = _refused, Displaced = () => _kit }, new Spill<T>(_files, spillBytes), new Signal(), new Signal(), TimeProvider.System);
    }

    private static List<T> Read<T>(RuledStream<T> stream)
    {
        var all = new List<T>();
        while (stream.TryRead(out var e))
        {
            all.Add(e.Data);
        }

        return all;
    }

    private sealed class Halve(long without) : Transformer<long, double>
    {
        protected override ValueTask OnItemAsync(Event<long> e, Emitter<double> output, CancellationToken ct) => output.SendAsync(e.With(e.Data == without ? double.NaN : e.Data / 2.0), ct);
    }

    private sealed class KeepSlowly(List<double> kept, Task gate) : Sink<double>
    {
        protected override async ValueTask OnItemAsync(Event<double> e, CancellationToken ct)
        {
            await gate.WaitAsync(ct);
            kept.Add(e.Data);
        }
    }
}

/// <summary>Can be written as JSON, and nothing says what to make of it.</summary>
internal interface INamed
{
    string Name { get; }
}

internal sealed record Named(string Name) : INamed;

/// <summary>Throws what JSON does not expect.</summary>
internal sealed class Picky
{
    public int Value { get => field >= 0 ? field : throw new ArgumentException("no value"); init => field = value; }

    [JsonInclude]
    internal int Seal { get => Value; init => _ = value > 0 ? throw new ArgumentException("too picky") : value; }
}

[JsonSerializable(typeof(Picky))]
internal sealed partial class PickyJson : JsonSerializerContext;

