using System.Collections.Concurrent;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Checkpoints;
using Loom.Harness.Checkpoints.Adapters;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Harness.Execution.Scheduling;
using Loom.Fast.Tests.Harness.Signals;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class FeedbackTests
{
    private static readonly TimeSpan s_long = TimeSpan.FromSeconds(180);

    [Fact]
    public async Task Loop_EveryEventGoesRoundThreeTimes_AllArriveAndTheRunEnds()
    {
        var kept = new List<Event<long>>();
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Replayed(2000))
            .Add("hop", () => new Hop((n, rounds) => rounds < 3))
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "hop.in", b => b with { Buffer = 4 })
            .Bind("hop.again", "hop.in", Back(8))
            .Bind("hop.out", "keep.in", b => b with { Buffer = 4 });
        SystemAssembly? seen = null;
        var kit = new RunKit();
        (await kit.RunAsync(builder, started: a => seen = a)).ExitCode.ShouldBe(RunResult.Ended);
        kept.Select(e => Number(e.Data)).Order().ShouldBe(Enumerable.Range(0, 2000).Select(n => (long)n));
        kept.ShouldAllBe(e => e.Data % Hop.Scale == 3);
        kit.Failures.ShouldBeEmpty();
        var back = seen!.Run.Streams.Single(s => s.Plan.Feedback).Snapshot();
        (back.In, back.Out, back.Capacity, back.Ended).ShouldBe((6000, 6000, 8, true));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    public async Task RandomLoops_RandomBuffersAndRounds_NeverDeadlockAndAccountForEveryEvent(int seed)
    {
        var random = new Random(seed * 7919);
        for (var trial = 0; trial < 6; trial++)
        {
            var graph = Graph.Random(random);
            var kept = new ConcurrentQueue<long>();
            var kit = new RunKit();
            var result = await kit.RunAsync(graph.Build(new Replayed(400), () => new Gather(kept)));
            result.ExitCode.ShouldBe(RunResult.Ended, graph.ToString());
            var failed = kit.Failures.Select(f => Number(f.Payload.GetInt64()));
            kept.Select(Number).Concat(failed).Order().ShouldBe(Enumerable.Range(0, 400).Select(n => (long)n), graph.ToString());
            kit.Failures.ShouldAllBe(f => ErrorClasses.CodeOf(f.Error) == "unlucky");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task RandomLoops_CheckpointThenCrashThenRestart_KeepEveryEventExactlyOnceInTheState(int seed)
    {
        var random = new Random(seed * 104729);
        var putBack = 0;
        for (var trial = 0; trial < 4; trial++)
        {
            var graph = Graph.Random(random) with { Luck = false };
            var store = new InMemoryState();
            var total = 2000;
            using var force = new CancellationTokenSource();
            Task<CheckpointInfo?>? taken = null;
            await using (var state = await OpenAsync(store))
            {
                var first = new Gather([]);
                var at = random.Next(1, total);
                await new RunKit { State = state }.RunAsync(graph.Build(new Replayed(total, stays: true), () => first), force: force.Token, started: a => taken = Task.Run(async () =>
                {
                    var counters = a.Run.Hosts.Single(h => h.Plan.Name == "keep").Loop.Counters;
                    SpinWait.SpinUntil(() => counters.Taken >= at, s_long);
                    var info = await a.Checkpoints!.TakeAsync(CancellationToken.None);
                    await force.CancelAsync();
                    return info;
                }));
                var made = await taken!.WaitAsync(s_long, TestContext.Current.CancellationToken);
                made.ShouldNotBeNull(graph.ToString());
            }

            await using var again = await OpenAsync(store);
            putBack += again.Resumed!.Parts.Count(p => p.HasState && p.Component.StartsWith("feedback-", StringComparison.Ordinal));
            var kept = new Gather([]);
            var result = await new RunKit { State = again }.RunAsync(graph.Build(new Replayed(total), () => kept));
            result.ExitCode.ShouldBe(RunResult.Ended, graph.ToString());
            kept.Seen.Select(Number).Order().ShouldBe(Enumerable.Range(0, total).Select(n => (long)n), graph.ToString());
        }

        // Or nothing was tried.
        putBack.ShouldBeGreaterThan(0);
    }

    [Fact]
    public async Task Loop_ThatMultipliesEvents_GivesWhatItCannotHoldToTheDeadLetterAndEnds()
    {
        var kept = new List<Event<long>>();
        var kit = new RunKit();
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Replayed(50))
            .Add("hop", () => new Doubling())
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "hop.in")
            .Bind("hop.again", "hop.in", Back(16))
            .Bind("hop.out", "keep.in");
        (await kit.RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        kit.Failures.ShouldNotBeEmpty();
        kit.Failures.ShouldAllBe(f => ErrorClasses.CodeOf(f.Error) == "loop_full");
    }

    [Fact]
    public async Task Loop_ReaderOfItsOwn_EndsToo()
    {
        var kept = new List<Event<long>>();
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Replayed(500))
            .Add("own", () => new OwnLoop())
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "own.in")
            .Bind("own.again", "own.in", Back(4))
            .Bind("own.out", "keep.in");
        (await new RunKit().RunAsync(builder)).ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(500);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Loop_LettersComeAgainIntoAMember_TheLoopHoldsThemAndTheRunEnds(bool own)
    {
        var kept = new List<Event<long>>();
        var end = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var builder = new HarnessBuilder("system").Add("numbers", () => new Replayed(20, until: end.Task));
        builder = (own ? builder.Add("hop", () => new OwnLoop()) : builder.Add("hop", () => new Hop((n, rounds) => rounds < 3)))
            .Add("keep", () => new Keep(kept))
            .Bind("numbers.out", "hop.in", b => b with { Buffer = 4 })
            .Bind("hop.again", "hop.in", Back(4))
            .Bind("hop.out", "keep.in", b => b with { Buffer = 4 });
        var kit = new RunKit();
        Task<IReadOnlyCollection<string>>? sending = null;
        var result = await kit.RunAsync(builder, started: a => sending = Task.Run(async () =>
        {
            SpinWait.SpinUntil(() => a.Run.Hosts.All(h => h.State == ComponentState.Running), s_long);
            var sent = await new LetterRetry(a).SendAsync(Letters("hop", 100), default);
            end.SetResult();
            return sent;
        }));
        result.ExitCode.ShouldBe(RunResult.Ended);
        (await sending!).Count.ShouldBe(100);
        kit.Failures.ShouldBeEmpty();
        kept.Select(e => Number(e.Data)).Order().ShouldBe(Enumerable.Range(0, 20).Concat(Enumerable.Range(1000, 100)).Select(n => (long)n));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public async Task RandomLoops_LettersComeAgainAtAnyMoment_NeverDeadlockAndAccountForEveryEvent(int seed)
    {
        var random = new Random(seed * 6007);
        for (var trial = 0; trial < 6; trial++)
        {
            var graph = Graph.Random(random);
            var (kept, at, member) = (new ConcurrentQueue<long>(), random.Next(0, 800), $"hop{random.Next(graph.Backs.Length)}");
            var kit = new RunKit();
            Task<IReadOnlyCollection<string>>? sending = null;
            var result = await kit.RunAsync(graph.Build(new Replayed(800), () => new Gather(kept)), started: a => sending = Task.Run(async () =>
            {
                SpinWait.SpinUntil(() => kept.Count + kit.Failures.Count >= at, s_long);
                return await new LetterRetry(a).SendAsync(Letters(member, 60), default);
            }));
            result.ExitCode.ShouldBe(RunResult.Ended, graph.ToString());
            var sent = (await sending!.WaitAsync(s_long, TestContext.Current.CancellationToken)).Select(id => long.Parse(id, System.Globalization.CultureInfo.InvariantCulture));
            var failed = kit.Failures.Select(f => Number(f.Payload.GetInt64()));
            kept.Select(Number).Concat(failed).Order().ShouldBe(Enumerable.Range(0, 800).Select(n => (long)n).Concat(sent).Order(), graph.ToString());
            kit.Failures.ShouldAllBe(f => ErrorClasses.CodeOf(f.Error) == "unlucky");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task RandomLoop_UnderTheDeterministicScheduler_GivesTheSameOrderForTheSameSeed(int seed)
    {
        var graph = Graph.Random(new Random(seed * 31337));
        var orders = new List<string>();
        for (var run = 0; run < 2; run++)
        {
            var kept = new ConcurrentQueue<long>();
            var kit = new RunKit { Scheduler = new DeterministicScheduler(seed, DateTimeOffset.UnixEpoch) };
            (await kit.RunAsync(graph.Build(new Replayed(300), () => new Gather(kept)))).ExitCode.ShouldBe(RunResult.Ended, graph.ToString());
            (kept.Count + kit.Failures.Count).ShouldBe(300, graph.ToString());
            orders.Add(string.Join(' ', kept));
        }

        orders[1].ShouldBe(orders[0]);
    }

    private static long Number(long data) => data / Hop.Scale;

    private static DeadLetter[] Letters(string member, int count) => [.. Enumerable.Range(1000, count).Select(n => LetterRetryTests.Letter($"{n}", member, $"{n * Hop.Scale}"))];

    private static Func<BindingPlan, BindingPlan> Back(int most) => b => b with { Feedback = true, MaxInFlight = most };

    private static async Task<StateHome> OpenAsync(InMemoryState store)
    {
        var choice = StateChoice.Of(new StatePlan { Adapter = InMemoryState.AdapterName }, new Dictionary<string, StatePlan>(), new StateSettings());
        return await StateHome.OverAsync(
            () => new CheckpointStore(store, "system", choice.Options, TimeProvider.System, NullLogger.Instance), choice, new StateStart(), "system", TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken);
    }

    /// <summary>A line of two to five components, each of which may send events back to itself or to one before it.</summary>
    private sealed record Graph(int[] Backs, int[] Buffers, int[] InFlight, int[] Concurrency, int Salt)
    {
        public bool Luck { get; init; } = true;

        public static Graph Random(Random random)
        {
            var count = random.Next(2, 6);
            var backs = Enumerable.Range(0, count).Select(i => random.Next(2) == 0 ? random.Next(0, i + 1) : -1).ToArray();
            backs[^1] = 0;
            return new Graph(
                backs,
                [.. Enumerable.Range(0, count + 1).Select(_ => random.Next(1, 65))],
                [.. backs.Select(_ => random.Next(1, 65))],
                [.. backs.Select(_ => random.Next(4) == 0 ? 3 : 1)],
                random.Next());
        }

        public HarnessBuilder Build<TSource, TSink>(TSource source, Func<TSink> sink)
            where TSource : Source<long>
            where TSink : Component
        {
            var builder = new HarnessBuilder("system").Add("numbers", () => source);
            for (var i = 0; i < Backs.Length; i++)
            {
                var (at, concurrency) = (i, Concurrency[i]);
                builder.Add($"hop{i}", () => new Hop((n, rounds) => Backs[at] >= 0 && rounds < 6 && Dice(n, rounds, at) % 3 == 0, Luck ? (n, rounds) => Dice(n, rounds, at + 100) % 50 == 0 : null), p => p with { Concurrency = concurrency });
            }

            builder.Add("keep", sink).Bind("numbers.out", "hop0.in", b => b with { Buffer = Buffers[0] });
            for (var i = 0; i < Backs.Length; i++)
            {
                var at = i;
                builder.Bind($"hop{i}.out", i + 1 == Backs.Length ? "keep.in" : $"hop{i + 1}.in", b => b with { Buffer = Buffers[at + 1] });
                if (Backs[i] >= 0)
                {
                    builder.Bind($"hop{i}.again", $"hop{Backs[i]}.in", Back(InFlight[i]));
                }
            }

            return builder;
        }

        public override string ToString() => $"backs {string.Join(',', Backs)} buffers {string.Join(',', Buffers)} in flight {string.Join(',', InFlight)} concurrency {string.Join(',', Concurrency)}";

        private int Dice(long n, long rounds, int at)
        {
            var hash = unchecked(((ulong)n * 0x9E3779B97F4A7C15) ^ ((ulong)rounds * 0xBF58476D1CE4E5B9) ^ ((ulong)(at + Salt) * 0x94D049BB133111EB));
            hash ^= hash >> 31;
            return (int)(unchecked(hash * 0x9E3779B97F4A7C15) >> 40);
        }
    }

    [Output("out", typeof(long))]
    [Output("again", typeof(long))]
    private sealed class Hop(Func<long, long, bool> again, Func<long, long, bool>? unlucky = null) : StreamProcessor<long, long>
    {
        // Payloads carry the rounds they have made in their last digits.
        public const long Scale = 1000;

        protected internal override IReadOnlyList<string> Outputs => ["out", "again"];

        protected override async ValueTask OnItemAsync(string port, Event<long> e, Emitter<long> output, CancellationToken ct)
        {
            var data = e.Data;
            var (n, rounds) = (data / Scale, data % Scale);
            if ((n + rounds) % 7 == 0)
            {
                await Task.Yield();
            }

            if (unlucky?.Invoke(n, rounds) == true)
            {
                throw new ItemException("unlucky", "as it happens");
            }

            await (again(n, rounds) ? output.SendAsync("again", e.Derive(data + 1), ct) : output.SendAsync(e.Derive(data), ct));
        }
    }

    [Output("out", typeof(long))]
    [Output("again", typeof(long))]
    private sealed class Doubling : StreamProcessor<long, long>
    {
        protected internal override IReadOnlyList<string> Outputs => ["out", "again"];

        protected override async ValueTask OnItemAsync(string port, Event<long> e, Emitter<long> output, CancellationToken ct)
        {
            if (e.Id.ToString().Count(c => c == '/') >= 8)
            {
                await output.SendAsync(e, ct);
                return;
            }

            await output.SendAsync("again", e.Derive(e.Data), ct);
            await output.SendAsync("again", e.Derive(e.Data), ct);
        }
    }

    [Input("in", typeof(long))]
    [Output("out", typeof(long))]
    [Output("again", typeof(long))]
    private sealed class OwnLoop : Component
    {
        protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
        {
            var input = ctx.In<long>();
            var (output, again) = (ctx.Out<long>(), ctx.Out<long>("again"));
            while (await input.WaitToReadAsync(ct))
            {
                while (input.TryRead(out var e))
                {
                    await (e.Id.ToString().Contains('/', StringComparison.Ordinal) ? output : again).SendAsync(e.Derive(e.Data), ct);
                }
            }
        }
    }

    [Component("test.replayed", Type = ComponentType.Source, Replayable = true)]
    private sealed class Replayed(int count, bool stays = false, Task? until = null) : Source<long>
    {
        private long _next;

        protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
        {
            _next = next.GetValueOrDefault("0");
            return default;
        }

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            _next < count ? new(Read<long>.Item(_next * Hop.Scale, _next, ++_next)) : stays ? WaitAsync(ct) : until is null ? new(Read<long>.End) : WaitAsync(until, ct);

        private static async ValueTask<Read<long>> WaitAsync(Task until, CancellationToken ct)
        {
            await until.WaitAsync(ct);
            return Read<long>.End;
        }

        private static async ValueTask<Read<long>> WaitAsync(CancellationToken ct)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
            return Read<long>.End;
        }
    }

    [Component("test.gather", Type = ComponentType.Sink, StateVersion = 1)]
    private sealed class Gather(ConcurrentQueue<long> kept) : Sink<long>
    {
        public ConcurrentQueue<long> Seen => kept;

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            kept.Enqueue(e.Data);
            return default;
        }

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
        {
            var copy = kept.ToArray();
            return new((StateWriter?)(async (into, token) =>
            {
                await using var writer = new StreamWriter(into, leaveOpen: true);
                foreach (var n in copy)
                {
                    await writer.WriteLineAsync($"{n}");
                }
            }));
        }

        protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
        {
            using var reader = new StreamReader(state.Content);
            while (await reader.ReadLineAsync(ct) is { Length: > 0 } line)
            {
                kept.Enqueue(long.Parse(line, System.Globalization.CultureInfo.InvariantCulture));
            }
        }
    }
}
