using System.Collections.Concurrent;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// The drill "five induced failures in one run" of section 17: an operator at a quarter, a snapshot at the half, an operator at three quarters whose recovery fails once,
/// and the close. Operators keep the last number of each key, so that anything lost, doubled or out of order shows in the state itself.
/// </summary>
public sealed class FiveFailuresDrills
{
    private const int Keys = 64;
    private const int Checkpoints = 9;

    private static readonly int s_items = Drill.Count(9_000, 180_000);

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(20)]
    public Task FiveFailures_InOneRun_NothingIsLostDoubledOrOutOfOrder(int parallelism) =>
        Drill.RunAsync($"five induced failures, parallelism {parallelism}", 1, 20, _ => OnceAsync(parallelism));

    private static async Task OnceAsync(int parallelism)
    {
        using var folder = new TempFolder();
        var logs = new Seen();
        var around = new CodedSurroundings { Folder = folder.Path, State = CodedSurroundings.Adapter("sqlite_snapshot"), Interval = TimeSpan.FromMilliseconds(100), Logs = logs };
        var plan = new Plan();
        await using (var run = await CodedRun.LoadAsync(Build(plan, parallelism), around))
        {
            plan.Taken = () => run.Checkpoints.Taken;
            var result = await run.RunAsync();

            result.ExitCode.ShouldBe(RunResult.Failed, "the close failed");
            result.Errors.Single().Message.ShouldBe("close");
            run.Checkpoints.Taken.ShouldBeGreaterThanOrEqualTo(8);
            run.Failures.ShouldBeEmpty();
            var snapshot = RunSnapshot.Of(run.Assembly);
            snapshot.Components.Sum(c => c.Restarts).ShouldBe(2);
            snapshot.Components[^1].Done.ShouldBe(s_items);
        }

        // Five failures, each told once: three of components, one of a checkpoint, one at the close.
        plan.Induced.Order().ShouldBe(["close", "operator at a quarter", "operator at three quarters", "recovery", "snapshot"]);
        string[] told = [.. logs.Failures.Where(m => plan.Induced.Any(m.Contains)), "close"];
        told.Length.ShouldBe(5, string.Join("; ", told));
        plan.Wrong.ShouldBe(0, "lost, doubled or out of order");

        // What is stored says the same: every key's last number, and where reading goes on.
        await using var next = await CodedRun.LoadAsync(Build(new Plan(), parallelism), around);
        var resumed = next.State!.Resumed.ShouldNotBeNull();
        resumed.OffsetsOf("from")["0"].ShouldBe(s_items);
        var last = new Dictionary<string, long>();
        for (var i = 0; i < parallelism; i++)
        {
            var state = (await resumed.StateOfAsync($"op{i}", default)).ShouldNotBeNull();
            foreach (var (key, number) in JsonSerializer.Deserialize<Dictionary<string, long>>(state.Content)!)
            {
                last.Add(key, number);
            }
        }

        last.Count.ShouldBe(Keys);
        last.ShouldAllBe(l => l.Value == LastOf(long.Parse(l.Key)));
    }

    // Numbers go round the keys; each key sees every 64th.
    private static long LastOf(long key) => ((s_items - 1 - key) / Keys * Keys) + key;

    private static HarnessBuilder Build(Plan plan, int parallelism)
    {
        var builder = new HarnessBuilder("five").Add("from", () => new From(plan), p => p with
        {
            Ports = [.. p.Ports.Select(port => port.Name == "out" && parallelism > 1 ? port with { Distribution = Distribution.PartitionHash, DistributionKey = "key" } : port)],
        });
        for (var i = 0; i < parallelism; i++)
        {
            builder.Add($"op{i}", () => new Operator(plan), p => p with { Restart = new RestartPlan { Backoff = TimeSpan.FromMilliseconds(20) } });
        }

        builder.Add("into", () => new Into(plan));
        for (var i = 0; i < parallelism; i++)
        {
            builder.Bind("from.out", $"op{i}.in").Bind($"op{i}.out", "into.in");
        }

        return builder;
    }

    /// <summary>What is to fail, and what did.</summary>
    private sealed class Plan
    {
        private int _recoveries = -1;
        private int _snapshots;
        private int _wrong;

        public ConcurrentQueue<string> Induced { get; } = [];

        public int Wrong => Volatile.Read(ref _wrong);

        /// <summary>Checkpoints so far.</summary>
        public Func<long> Taken { get; set; } = static () => long.MaxValue;

        public void CountWrong() => Interlocked.Increment(ref _wrong);

        public void AtItem(Event<long> e)
        {
            if (e.Attempt == 1 && e.Data == s_items / 4)
            {
                Fail("operator at a quarter");
            }

            if (e.Data == s_items / 2)
            {
                Interlocked.Exchange(ref _snapshots, 1);
            }

            if (e.Attempt == 1 && e.Data == s_items / 4 * 3)
            {
                Interlocked.Exchange(ref _recoveries, 1);
                Fail("operator at three quarters");
            }
        }

        public void AtSnapshot()
        {
            if (Interlocked.Exchange(ref _snapshots, 0) == 1)
            {
                Fail("snapshot");
            }
        }

        public void AtSetup()
        {
            if (Interlocked.CompareExchange(ref _recoveries, 0, 1) == 1)
            {
                Fail("recovery");
            }
        }

        public void AtClose() => Fail("close");

        private void Fail(string what)
        {
            Induced.Enqueue(what);
            throw new InvalidOperationException(what);
        }
    }

    [Component("five.from", Type = ComponentType.Source, Replayable = true)]
    private sealed class From(Plan plan) : Source<long>
    {
        private readonly string[] _keys = [.. Enumerable.Range(0, Keys).Select(k => $"{k}")];
        private long _next;

        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            // The run is as long as its checkpoints.
            if (_next % (s_items / (Checkpoints + 1)) == 0)
            {
                var wanted = Math.Min(Checkpoints, _next / (s_items / (Checkpoints + 1)));
                await Deadline.Until(() => plan.Taken() >= wanted, $"{wanted} checkpoints");
            }

            return _next == s_items ? Read<long>.End : Read<long>.Item(_next, _next, ++_next) with { Key = _keys[(_next - 1) % Keys] };
        }
    }

    [Component("five.operator", Type = ComponentType.Transformer, StateVersion = 1)]
    [Input("in", typeof(long))]
    [Output("out", typeof(long))]
    private sealed class Operator(Plan plan) : Component
    {
        private Dictionary<string, long> _last = [];

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
        {
            plan.AtSetup();
            return default;
        }

        protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
        {
            var (input, output) = (ctx.In<long>(), ctx.Out<long>());
            while (await input.WaitToReadAsync(ct))
            {
                while (input.TryRead(out var e))
                {
                    plan.AtItem(e);
                    if (e.Data != (_last.TryGetValue(e.Key!, out var last) ? last + Keys : long.Parse(e.Key!)))
                    {
                        plan.CountWrong();
                    }

                    _last[e.Key!] = e.Data;
                    await output.SendAsync(e.Derive(e.Data), ct);
                }
            }
        }

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
        {
            plan.AtSnapshot();
            var frozen = JsonSerializer.SerializeToUtf8Bytes(_last);
            return new((into, token) => into.WriteAsync(frozen, token));
        }

        protected internal override ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
        {
            _last = JsonSerializer.Deserialize<Dictionary<string, long>>(state.Content)!;
            return default;
        }
    }

    [Component("five.into", Type = ComponentType.Sink)]
    private sealed class Into(Plan plan) : Sink<long>
    {
        private readonly Dictionary<string, long> _last = [];

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            if (e.Data != (_last.TryGetValue(e.Key!, out var last) ? last + Keys : long.Parse(e.Key!)))
            {
                plan.CountWrong();
            }

            _last[e.Key!] = e.Data;
            return default;
        }

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
        {
            plan.AtClose();
            return default;
        }
    }

    /// <summary>Warnings and errors with what caused them.</summary>
    private sealed class Seen : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Failures { get; } = [];

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, Microsoft.Extensions.Logging.EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Failures.Enqueue($"{formatter(state, exception)}: {exception?.Message}");

        public void Dispose()
        {
        }
    }
}
