using Loom.Components;
using Loom.Harness.Execution;
using Loom.SystemTests.Processes;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>Streams hold what their buffer says and never more, whatever the pauses; the times they tell are those of the schedule; a slow consumer costs no memory.</summary>
[Collection(Alone.Name)]
public sealed class BufferDrills
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    [InlineData(64)]
    [InlineData(1000)]
    public async Task Depth_RandomPauses_NeverOverTheBuffer(int buffer)
    {
        var items = Drill.Count(100_000, 1_000_000);
        var (deepest, looks) = (0L, 0L);
        var into = new Into(Pauses(1));
        var through = new Through(Pauses(3));
        var (pause, most) = (Pauses(2), 0L);
        var builder = new HarnessBuilder("depth")
            .Add("from", () => new From(items, sent =>
            {
                // What the harness tells is one thing; what was sent and has not been handled another.
                most = Math.Max(most, sent - through.Seen);
                return pause();
            }))
            .Add("through", () => through)
            .Add("into", () => into)
            .Bind("from.out", "through.in", b => b with { Buffer = buffer })
            .Bind("through.out", "into.in", b => b with { Buffer = buffer });
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings());
        var running = run.RunAsync();
        while (!running.IsCompleted)
        {
            foreach (var stream in run.Assembly.Run.Streams)
            {
                deepest = Math.Max(deepest, stream.Snapshot().Depth);
                looks++;
            }

            await Task.Yield();
        }

        (await running).ExitCode.ShouldBe(RunResult.Ended);
        Drill.Report($"depth, buffer {buffer}", deepest <= buffer && most <= buffer + 1 ? 1 : 0, 1, $"{items} events, deepest {deepest} in {looks} looks, at most {most} sent and not handled, one of them in hand");
        looks.ShouldBeGreaterThan(0);
        deepest.ShouldBeLessThanOrEqualTo(buffer);
        most.ShouldBeInRange(1, buffer + 1);
        into.Seen.ShouldBe(items);
    }

    [Fact]
    public async Task Times_OfAScriptedSchedule_AreToldWithin5Percent()
    {
        const int Buffer = 10;
        var time = new ManualTimeProvider();
        var (source, sink) = (new Valve(), new Valve());
        var builder = new HarnessBuilder("times")
            .Add("from", () => new From(int.MaxValue, _ => source.PassAsync()))
            .Add("into", () => new Into(() => sink.PassAsync()))
            .Bind("from.out", "into.in", b => b with { Buffer = Buffer });
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings { Time = time });
        time.Advance(TimeSpan.FromSeconds(1)); // a wait since the very beginning of time is none
        using var stop = new CancellationTokenSource();
        var running = run.RunAsync(force: stop.Token);
        var (writer, reader) = (run.Assembly.Run.Hosts[0].Loop.Outbox, run.Assembly.Run.Hosts[1].Loop.Gate.Signal);
        var random = new Random(3);
        var (blocked, starved) = (TimeSpan.Zero, TimeSpan.Zero);
        for (var step = 0; step < 20; step++)
        {
            var span = TimeSpan.FromMilliseconds(random.Next(1_000, 60_000));
            var full = step % 2 == 0;
            var waits = full ? writer : reader;
            (full ? source : sink).Open();
            (full ? sink : source).Close();
            // Depths are told in small runs: one or two events may be on their way.
            await Deadline.Until(() => waits.IsArmed && run.Assembly.Run.Streams[0].Snapshot().Depth is var depth && (full ? depth >= Buffer - 2 : depth <= 2), full ? "the writer waits" : "the reader waits");
            // The wait is noted a moment after it can be seen: the clock goes by the least it can until it is.
            TimeSpan Told() => run.Assembly.Run.Streams[0].Snapshot() is var now && full ? now.Blocked : now.Starved;
            var before = Told();
            await Deadline.Until(
                () =>
                {
                    time.Advance(TimeSpan.FromTicks(1));
                    return Told() > before;
                },
                "the wait is noted");
            time.Advance(span);

            (blocked, starved) = full ? (blocked + span, starved) : (blocked, starved + span);
        }

        var told = run.Assembly.Run.Streams[0].Snapshot();
        await stop.CancelAsync();
        source.Open();
        sink.Open();
        await running;
        var (b, s) = (told.Blocked / blocked, told.Starved / starved);
        Drill.Report("blocked and starved times", 1, 1, $"{blocked.TotalSeconds:0} s and {starved.TotalSeconds:0} s scripted, told {b:0.000} and {s:0.000} of it");
        b.ShouldBeInRange(0.95, 1.05);
        s.ShouldBeInRange(0.95, 1.05);
    }

    [Fact]
    public async Task SlowConsumer_OneHour_DepthWithinBufferAndMemoryFlat()
    {
        var hours = TimeSpan.FromMinutes(Drill.Count(6, 60));
        var time = new ManualTimeProvider();
        var each = TimeSpan.FromMilliseconds(100);
        Into into = null!;
        into = new Into(() => PaceAsync(into.Seen + 1, each));
        var builder = new HarnessBuilder("slow")
            .Add("from", () => new From(int.MaxValue, sent => PaceAsync(sent, each / 10)))
            .Add("into", () => into)
            .Bind("from.out", "into.in");
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings { Time = time });
        using var stop = new CancellationTokenSource();
        var running = run.RunAsync(force: stop.Token);
        var (heap, resident, deepest, before) = (0L, 0L, 0L, into.Seen);
        for (var at = TimeSpan.Zero; at < hours;)
        {
            time.Advance(each / 10);
            at += each / 10;
            deepest = Math.Max(deepest, run.Assembly.Run.Streams[0].Snapshot().Depth);
            // The clock gives the consumer a moment to notice, so that it does not run ahead of it.
            if (at.Ticks % each.Ticks == 0 && !SpinWait.SpinUntil(() => into.Seen > before, TimeSpan.FromMilliseconds(1)))
            {
                await Task.Yield();
            }

            before = into.Seen;

            if (heap == 0 && at >= hours / 3)
            {
                (heap, resident) = (GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
            }
        }

        // By then it has caught up, or soon will have.
        await Deadline.Until(() => into.Seen >= (long)(hours / each * 0.98), "the consumer is where its schedule has it");
        await Deadline.Until(() => (deepest = Math.Max(deepest, run.Assembly.Run.Streams[0].Snapshot().Depth)) == run.Assembly.Run.Streams[0].Snapshot().Capacity, "the stream was full");
        var (heapAfter, residentAfter) = (GC.GetTotalMemory(forceFullCollection: true), Environment.WorkingSet);
        var (taken, capacity) = (run.CountersOf("from").Taken, run.Assembly.Run.Streams[0].Snapshot().Capacity);
        await stop.CancelAsync();
        time.Advance(TimeSpan.FromMinutes(1));
        await running;
        Drill.Report(
            "slow consumer", 1, 1,
            $"{hours.TotalMinutes} simulated minutes, {into.Seen} events, producer {taken - into.Seen} ahead, deepest {deepest} of {capacity}, heap {heapAfter / (double)heap:0.000}, resident {residentAfter / (double)resident:0.000} of what it was after a third");
        deepest.ShouldBe(capacity, "the stream was full");
        into.Seen.ShouldBeInRange((long)(hours / each * 0.98), (long)(hours / each) + 1);
        (heapAfter - heap).ShouldBeLessThan((heap / 20) + (1 << 20));
        residentAfter.ShouldBeLessThan(Drill.Full ? (long)(resident * 1.05) : (resident * 5 / 4) + (64L << 20));

        // By its own schedule: who was late catches up.
        async ValueTask PaceAsync(long number, TimeSpan every)
        {
            var due = (every * number) - (time.GetUtcNow() - DateTimeOffset.UnixEpoch);
            if (due > TimeSpan.Zero)
            {
                await Task.Delay(due, time);
            }
        }
    }

    // Mostly none, now and then a step aside or a moment's work.
    private static Func<ValueTask> Pauses(int seed)
    {
        var random = new Random(seed);
        return () =>
        {
            switch (random.Next(1000))
            {
                case 0:
                    return Yielded();
                case 1:
                    Thread.SpinWait(random.Next(20_000));
                    return default;
                default:
                    return default;
            }
        };

        static async ValueTask Yielded() => await Task.Yield();
    }

    /// <summary>Lets pass, or holds.</summary>
    private sealed class Valve
    {
        private volatile TaskCompletionSource _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ValueTask PassAsync() => new(_open.Task);

        public void Open() => _open.TrySetResult();

        public void Close() => _open = _open.Task.IsCompleted ? new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously) : _open;
    }

    [Component("buffer.from", Type = ComponentType.Source, Replayable = true)]
    private sealed class From(int items, Func<long, ValueTask> pause) : Source<string>
    {
        private int _next;

        protected internal override async ValueTask<Read<string>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            await pause(_next);
            return _next == items ? Read<string>.End : Read<string>.Item($"number {_next}", _next, ++_next);
        }
    }

    [Component("buffer.through", Type = ComponentType.Transformer)]
    private sealed class Through(Func<ValueTask> pause) : Transformer<string, string>
    {
        private long _seen;

        public long Seen => Volatile.Read(ref _seen);

        protected override async ValueTask OnItemAsync(Event<string> e, Emitter<string> output, CancellationToken ct)
        {
            Interlocked.Increment(ref _seen);
            await pause();
            await output.SendAsync(e.Derive(e.Data), ct);
        }
    }

    [Component("buffer.into", Type = ComponentType.Sink)]
    private sealed class Into(Func<ValueTask> pause) : Sink<string>
    {
        private long _seen;

        public long Seen => Volatile.Read(ref _seen);

        protected override async ValueTask OnItemAsync(Event<string> e, CancellationToken ct)
        {
            await pause();
            Interlocked.Increment(ref _seen);
        }
    }
}
