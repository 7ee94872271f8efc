using System.Threading.Channels;
using Loom.Components;
using Loom.Harness.Execution;

namespace Loom.Harness.Benchmarks;

/// <summary>How long one event takes over one hop: from the moment its writer has it to the moment its reader's handler has it.</summary>
internal static class LatencyRows
{
    public const string Median = "p50 µs";
    public const string Tail = "p99 µs";

    private const string Raw = "channel";
    private const string Chained = "loom, chain of seven";
    private const int RoundTrips = 5_000;
    private const int Paced = 50_000;
    private const int PerSecond = 100_000;

    public static BenchRow Idle(TimeProvider time) => Row("idle-latency", "one hop, one event at a time", time, pace: null, RoundTrips);

    public static BenchRow AtPace(TimeProvider time) =>
        Row("paced-latency", "one hop, 100,000 events a second", time, TimeSpan.FromSeconds(1.0 / PerSecond), Paced);

    private static FiguresRow Row(string name, string title, TimeProvider time, TimeSpan? pace, int count) => new(
        name,
        title,
        [
            new Subject(OurSystems.Items, ct => OursAsync(time, pace, count, chain: false, ct)),
            new Subject(Chained, ct => OursAsync(time, pace, count, chain: true, ct)),
            new Subject(Raw, ct => RawAsync(time, pace, count, ct)),
        ],
        [
            new Limit(OurSystems.Items, Median, 5, Raw), new Limit(OurSystems.Items, Tail, 5, Raw),
            new Limit(Chained, Median, 20, Raw), new Limit(Chained, Tail, 20, Raw),
        ]);

    private static async Task<IReadOnlyList<Figure>> OursAsync(TimeProvider time, TimeSpan? pace, int count, bool chain, CancellationToken ct)
    {
        var clock = new Departures(time, pace, count);
        var builder = new HarnessBuilder("latency")
            .Add("source", () => new Sending(clock))
            .Add("sink", () => new Arriving(clock), chain ? OurSystems.WithChain : null)
            .Bind("source.out", "sink.in");
        using var assembly = BenchSystem.Assemble(builder.Plan(Path.GetTempPath()), builder.Create, time);
        await BenchSystem.RunAsync(assembly, time, ct).ConfigureAwait(false);
        return clock.Figures();
    }

    private static async Task<IReadOnlyList<Figure>> RawAsync(TimeProvider time, TimeSpan? pace, int count, CancellationToken ct)
    {
        var clock = new Departures(time, pace, count);
        var channel = Channel.CreateBounded<long>(new BoundedChannelOptions(1000) { SingleReader = true, SingleWriter = true });
        var writing = Task.Run(
            async () =>
            {
                while (await clock.NextAsync(ct).ConfigureAwait(false) is { } departure)
                {
                    await channel.Writer.WriteAsync(departure, ct).ConfigureAwait(false);
                }

                channel.Writer.Complete();
            },
            ct);
        var reading = Task.Run(
            async () =>
            {
                await foreach (var departure in channel.Reader.ReadAllAsync(ct).ConfigureAwait(false))
                {
                    clock.Arrived(departure);
                }
            },
            ct);
        await Task.WhenAll(writing, reading).ConfigureAwait(false);
        return clock.Figures();
    }

    /// <summary>When events leave, and how long they took: the same for every subject.</summary>
    private sealed class Departures(TimeProvider time, TimeSpan? pace, int count)
    {
        private readonly Channel<bool> _back = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { SingleReader = true, SingleWriter = true });
        private readonly List<long> _took = new(count);
        private long _start;
        private int _sent;

        /// <summary>Waits for the moment and gives it in ticks of the clock; null at the end.</summary>
        public ValueTask<long?> NextAsync(CancellationToken ct)
        {
            if (_sent == count)
            {
                return new((long?)null);
            }

            if (pace is { } every)
            {
                return new(OnTime(every));
            }

            return _sent++ == 0 ? new(time.GetTimestamp()) : AnsweredAsync(ct);
        }

        public void Arrived(long departure)
        {
            _took.Add(time.GetTimestamp() - departure);
            if (pace is null)
            {
                _back.Writer.TryWrite(true);
            }
        }

        public IReadOnlyList<Figure> Figures()
        {
            _took.Sort();
            return [new Figure(Median, Micros(0.5)), new Figure(Tail, Micros(0.99))];
        }

        // Both sides would wait for each other with anything but a busy wait: 10 µs are less than any timer.
        private long OnTime(TimeSpan every)
        {
            if (_sent == 0)
            {
                _start = time.GetTimestamp();
            }

            var due = TimeSpan.FromTicks(every.Ticks * _sent++);
            while (time.GetElapsedTime(_start) < due)
            {
                Thread.SpinWait(10);
            }

            return time.GetTimestamp();
        }

        private async ValueTask<long?> AnsweredAsync(CancellationToken ct)
        {
            await _back.Reader.ReadAsync(ct).ConfigureAwait(false);
            return time.GetTimestamp();
        }

        private double Micros(double quantile) => time.GetElapsedTime(0, _took[(int)((_took.Count - 1) * quantile)]).TotalMicroseconds;
    }

    private sealed class Sending(Departures clock) : Source<long>
    {
        private long _sent;

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            var next = clock.NextAsync(ct);
            return next.IsCompletedSuccessfully ? new(ReadOf(next.Result)) : WaitAsync(next);
        }

        private async ValueTask<Read<long>> WaitAsync(ValueTask<long?> next) => ReadOf(await next.ConfigureAwait(true));

        private Read<long> ReadOf(long? departure) => departure is { } at ? Read<long>.Item(at, _sent, ++_sent) : Read<long>.End;
    }

    private sealed class Arriving(Departures clock) : Sink<long>
    {
        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            clock.Arrived(e.Data);
            return default;
        }
    }
}
