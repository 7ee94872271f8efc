using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// Numbers that go two ways and meet again, each part with state by key; ways of different speed, with buffers and batches drawn at random. What each state must be after
/// so many numbers is known exactly.
/// </summary>
internal static class Diamond
{
    public const int Keys = 8;

    private static readonly string[] s_keys = [.. Enumerable.Range(0, Keys).Select(k => $"k{k}")];

    /// <summary>The graph; it never ends by itself.</summary>
    public static HarnessBuilder Build(Random random)
    {
        var (seed, batched) = (random.Next(), random.Next(3) == 0);
        BindingPlan Narrow(BindingPlan b) => b with { Buffer = random.Next(4) switch { 0 => 1, 1 => random.Next(2, 70), _ => 1000 } };
        return new HarnessBuilder("diamond")
            .Add("numbers", () => new Numbers())
            .Add("sums", () => new Way(sum: true, seed), p => p with { Concurrency = 1 })
            .Add("counts", () => new Way(sum: false, seed + 1), p => p with { Batching = batched ? new BatchingPlan { MaxItems = 16, MaxWait = TimeSpan.FromMilliseconds(5) } : null })
            .Add("meet", () => new Meet())
            .Add("end", () => new End())
            .Bind("numbers.out", "sums.in", Narrow)
            .Bind("numbers.out", "counts.in", Narrow)
            .Bind("sums.out", "meet.left", Narrow)
            .Bind("counts.out", "meet.right", Narrow)
            .Bind("meet.out", "end.in", Narrow);
    }

    /// <summary>What a component's state must be after the numbers below a limit.</summary>
    public static SortedDictionary<string, long> Expected(string component, long limit)
    {
        var state = new SortedDictionary<string, long>(StringComparer.Ordinal);
        for (var n = 0L; n < limit; n++)
        {
            var key = s_keys[n % Keys];
            switch (component)
            {
                case "sums":
                    Add(key, n);
                    break;
                case "counts":
                    Add(key, 1);
                    break;
                default:
                    Add($"{key} left", n);
                    Add($"{key} right", n);
                    break;
            }
        }

        return state;

        void Add(string key, long by) => state[key] = state.GetValueOrDefault(key) + by;
    }

    [Component("diamond.numbers", Type = ComponentType.Source, Replayable = true)]
    private sealed class Numbers : Source<long>
    {
        private long _next;

        protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
        {
            _next = next.GetValueOrDefault("0");
            return default;
        }

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            new(Read<long>.Item(_next, _next, ++_next) with { Key = s_keys[(_next - 1) % Keys] });
    }

    /// <summary>State by key that is copied for a snapshot and written later, while it goes on changing.</summary>
    private sealed class Totals
    {
        private readonly SortedDictionary<string, long> _totals = new(StringComparer.Ordinal);

        public void Add(string key, long by) => _totals[key] = _totals.GetValueOrDefault(key) + by;

        public StateWriter Freeze()
        {
            var frozen = JsonSerializer.SerializeToUtf8Bytes(_totals);
            return (into, ct) => into.WriteAsync(frozen, ct);
        }

        public void Restore(RestoredState state)
        {
            foreach (var (key, total) in JsonSerializer.Deserialize<Dictionary<string, long>>(state.Content)!)
            {
                _totals[key] = total;
            }
        }
    }

    [Component("diamond.way", Type = ComponentType.Transformer, StateVersion = 1)]
    private sealed class Way(bool sum, int seed) : Transformer<long, long>
    {
        private readonly Totals _totals = new();
        private readonly Random _random = new(seed);

        protected internal override bool HandlesBatches => true;

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct) => new(_totals.Freeze());

        protected internal override ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
        {
            _totals.Restore(state);
            return default;
        }

        protected override async ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct)
        {
            if (_random.Next(20) == 0)
            {
                await Task.Yield();
            }

            Take(e);
            await output.SendAsync(e.Derive(e.Data), ct);
        }

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                Take(batch[i]);
                output.Send(i, batch[i].Derive(batch[i].Data));
            }

            return default;
        }

        private void Take(Event<long> e) => _totals.Add(e.Key!, sum ? e.Data : 1);
    }

    [Component("diamond.meet", Type = ComponentType.StreamProcessor, StateVersion = 1)]
    [Input("left", typeof(long))]
    [Input("right", typeof(long))]
    private sealed class Meet : StreamProcessor<long, long>
    {
        private readonly Totals _totals = new();

        protected internal override IReadOnlyList<string> Inputs => ["left", "right"];

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct) => new(_totals.Freeze());

        protected internal override ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
        {
            _totals.Restore(state);
            return default;
        }

        protected override ValueTask OnItemAsync(string port, Event<long> e, Emitter<long> output, CancellationToken ct)
        {
            _totals.Add($"{e.Key} {port}", e.Data);
            return output.SendAsync(e.Derive(e.Data), ct);
        }
    }

    private sealed class End : Sink<long>
    {
        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct) => default;
    }
}
