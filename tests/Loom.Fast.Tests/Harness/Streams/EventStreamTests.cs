using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Streams;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Streams;

public sealed class EventStreamTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(64)]
    [InlineData(1000)]
    public async Task Stream_ReaderAndWriterWithPauses_KeepsOrderAndNeverHoldsMoreThanItsBuffer(int buffer)
    {
        const int count = 200_000;
        var pair = new Pair<int>(buffer);
        var deepest = 0L;
        var writing = Task.Run(() => WriteAllAsync(pair, count, new Random(buffer)), TestContext.Current.CancellationToken);
        var reading = Task.Run(() => ReadAllAsync(pair, new Random(-buffer), () => deepest = Math.Max(deepest, pair.Stream.Depth)), TestContext.Current.CancellationToken);
        await writing.WaitAsync(s_deadline, TestContext.Current.CancellationToken);
        (await reading.WaitAsync(s_deadline, TestContext.Current.CancellationToken)).ShouldBe(count);
        deepest.ShouldBeInRange(1, buffer);
        var snapshot = pair.Stream.Snapshot();
        (snapshot.In, snapshot.Out, snapshot.Depth).ShouldBe((count, count, 0));
    }

    [Fact]
    public void TryWrite_FullStream_RefusesUntilOneIsRead()
    {
        var stream = new Pair<int>(2).Stream;
        stream.TryWrite(Of(1)).ShouldBeTrue();
        stream.TryWrite(Of(2)).ShouldBeTrue();
        stream.TryWrite(Of(3)).ShouldBeFalse();
        stream.TryRead(out var first).ShouldBeTrue();
        first.Data.ShouldBe(1);
        stream.TryWrite(Of(3)).ShouldBeTrue();
        stream.Depth.ShouldBe(2);
    }

    [Fact]
    public void TryWrite_NotFlushed_IsSeenByAReaderAboutToWait()
    {
        var stream = new Pair<int>(1000).Stream;
        stream.TryWrite(Of(1)).ShouldBeTrue();
        stream.TryRead(out _).ShouldBeFalse();
        stream.Reader.Arm();
        stream.BeforeWait(1);
        stream.TryRead(out var first).ShouldBeTrue();
        first.Data.ShouldBe(1);
    }

    [Fact]
    public void TryWrite_ReaderWaits_WakesItAtOnce()
    {
        var stream = new Pair<int>(1000).Stream;
        stream.Reader.Arm();
        stream.BeforeWait(1);
        stream.TryWrite(Of(1)).ShouldBeTrue();
        stream.Reader.IsArmed.ShouldBeFalse();
        stream.TryRead(out _).ShouldBeTrue();
    }

    [Fact]
    public void TryWrite_MoreBytesThanAllowed_RefusesUnlessItIsAlone()
    {
        var stream = new EventStream<string>(Plan(10) with { BufferBytes = 100 }, new Signal(), new Signal(), TimeProvider.System);
        stream.TryWrite(new Event<string>(EventId.Root("s:0", 0), new string('x', 200))).ShouldBeTrue();
        stream.TryWrite(new Event<string>(EventId.Root("s:0", 1), "y")).ShouldBeFalse();
        stream.Flush();
        stream.TryRead(out _).ShouldBeTrue();
        stream.TryWrite(new Event<string>(EventId.Root("s:0", 1), "y")).ShouldBeTrue();
        stream.Snapshot().Bytes.ShouldBe(2);
    }

    [Fact]
    public async Task CanRead_FewerThanWantedAndTheWriterStands_OffersWhatIsThere()
    {
        var stream = new EventStream<string>(Plan(10) with { BufferBytes = 100 }, new Signal(), new Signal(), TimeProvider.System);
        var large = new Event<string>(EventId.Root("s:0", 0), new string('x', 40));
        stream.TryWrite(large).ShouldBeTrue();
        stream.TryWrite(large).ShouldBeFalse();
        stream.CanRead(10).ShouldBeFalse();

        var waiting = stream.WaitForRoomAsync(large, TestContext.Current.CancellationToken).AsTask();
        stream.CanRead(10).ShouldBeTrue();
        stream.TryRead(out _).ShouldBeTrue();
        await waiting.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        stream.TryWrite(large).ShouldBeTrue();
        stream.CanRead(10).ShouldBeFalse();
    }

    [Fact]
    public void Mark_BetweenEvents_HoldsTheReaderUntilItIsTaken()
    {
        var stream = new Pair<int>(10).Stream;
        stream.TryWrite(Of(1)).ShouldBeTrue();
        stream.Mark(new CheckpointBarrier(7));
        stream.TryWrite(Of(2)).ShouldBeTrue();
        stream.TryRead(out _).ShouldBeTrue();
        stream.AtMark.ShouldBeTrue();
        stream.TryRead(out _).ShouldBeFalse();
        stream.TryTakeMark(out var barrier).ShouldBeTrue();
        barrier!.Number.ShouldBe(7);
        stream.TryRead(out var second).ShouldBeTrue();
        second.Data.ShouldBe(2);
    }

    [Fact]
    public void IsEnded_CompletedWithAMarkLeft_OnlyAfterTheMark()
    {
        var stream = new Pair<int>(10).Stream;
        stream.TryWrite(Of(1)).ShouldBeTrue();
        stream.Mark(new CheckpointBarrier(1));
        stream.Complete();
        stream.IsEnded.ShouldBeFalse();
        stream.TryRead(out _).ShouldBeTrue();
        stream.IsEnded.ShouldBeFalse();
        stream.TryTakeMark(out _).ShouldBeTrue();
        stream.IsEnded.ShouldBeTrue();
    }

    [Fact]
    public void Stream_SteadyState_AllocatesNothing()
    {
        var stream = new Pair<long>(1000).Stream;
        Pump(stream, 10_000);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Pump(stream, 1_000_000);
        (GC.GetAllocatedBytesForCurrentThread() - before).ShouldBeLessThan(64 * 1024);
    }

    private static void Pump(EventStream<long> stream, int count)
    {
        for (var i = 0; i < count; i++)
        {
            stream.TryWrite(new Event<long>(EventId.Root("s:0", i), i)).ShouldBeTrue();
            if (i % 10 == 9)
            {
                stream.Flush();
                for (var j = 0; j < 10; j++)
                {
                    stream.TryRead(out _).ShouldBeTrue();
                }
            }
        }
    }

    private static Event<int> Of(int n) => new(EventId.Root("s:0", n), n);

    private static BindingPlan Plan(int buffer) =>
        new() { Name = "a.out->b.in", FromComponent = "a", FromPort = "out", ToComponent = "b", ToPort = "in", Buffer = buffer };

    private static async Task WriteAllAsync(Pair<int> pair, int count, Random random)
    {
        for (var i = 0; i < count; i++)
        {
            var e = Of(i);
            while (!pair.Stream.TryWrite(e))
            {
                await pair.Stream.WaitForRoomAsync(e, CancellationToken.None);
            }

            await PauseAsync(random);
            if (random.Next(3) == 0)
            {
                pair.Stream.Flush();
            }
        }

        pair.Stream.Complete();
    }

    private static async Task<int> ReadAllAsync(Pair<int> pair, Random random, Action look)
    {
        var next = 0;
        while (true)
        {
            look();
            while (pair.Stream.TryRead(out var e))
            {
                e.Data.ShouldBe(next++);
                await PauseAsync(random);
            }

            look();
            if (await pair.Gate.WaitAsync(CancellationToken.None) == GateState.Ended)
            {
                return next;
            }
        }
    }

    private static async ValueTask PauseAsync(Random random)
    {
        if (random.Next(2000) == 0)
        {
            await Task.Yield();
        }
    }

    private sealed class Pair<T>
    {
        public Pair(int buffer)
        {
            Stream = new EventStream<T>(Plan(buffer), Gate.Signal, new Signal(), TimeProvider.System);
            Gate.Add(Stream);
        }

        public Gate Gate { get; } = new(new Signal());

        public EventStream<T> Stream { get; }
    }
}
