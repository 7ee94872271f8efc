using System.Text.Json;
using Loom.Components;
using Loom.Harness.Checkpoints;
using Loom.Harness.Checkpoints.Adapters;
using Loom.Harness.Components.BuiltIns.Keyed;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Harness.Benchmarks;

/// <summary>What a checkpoint each second costs: throughput beside a run without, and how long a component stands still for its part.</summary>
internal static class CheckpointRows
{
    private const string Rate = "items/s";
    private const string Pause = "longest pause ms";
    private const string BlobWithout = "1 MiB of state, none";
    private const string Blob = "1 MiB of state, each second";
    private const string KeysWithout = "100,000 keys, none";
    private const string Keys = "100,000 keys, each second";
    private const int KeyCount = 100_000;
    private static readonly TimeSpan s_never = TimeSpan.FromHours(1);
    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_runs = TimeSpan.FromSeconds(4);

    public static BenchRow Row(TimeProvider time, string folder) => new FiguresRow(
        "checkpoints",
        "a checkpoint each second, state in SQLite",
        [
            new Subject(BlobWithout, ct => BlobAsync(time, folder, s_never, ct)), new Subject(Blob, ct => BlobAsync(time, folder, s_second, ct)),
            new Subject(KeysWithout, ct => KeysAsync(time, folder, s_never, ct)), new Subject(Keys, ct => KeysAsync(time, folder, s_second, ct)),
        ],
        [
            new Limit(Blob, Rate, 0.98, BlobWithout, AtLeast: true), new Limit(Blob, Pause, 5),
            new Limit(Keys, Rate, 0.9, KeysWithout, AtLeast: true), new Limit(Keys, Pause, 20),
        ]);

    private static Task<IReadOnlyList<Figure>> BlobAsync(TimeProvider time, string folder, TimeSpan interval, CancellationToken ct)
    {
        var builder = new HarnessBuilder("blob").Add("source", () => new Counting(time)).Add("state", static () => new Holding()).Bind("source.out", "state.in");
        return RunAsync(builder, time, folder, interval, ct);
    }

    private static Task<IReadOnlyList<Figure>> KeysAsync(TimeProvider time, string folder, TimeSpan interval, CancellationToken ct)
    {
        var options = new AccumulateOptions { Key = Expression.Compile("data"), Window = WindowKind.Tumbling, Size = TimeSpan.FromDays(1) };
        var builder = new HarnessBuilder("keys")
            .Add("source", () => new Naming(time))
            .Add("state", () => new AccumulateAccumulator(options, time))
            .Add("sink", static () => new Dropping())
            .Bind("source.out", "state.in")
            .Bind("state.out", "sink.in");
        return RunAsync(builder, time, folder, interval, ct);
    }

    private static async Task<IReadOnlyList<Figure>> RunAsync(HarnessBuilder builder, TimeProvider time, string folder, TimeSpan interval, CancellationToken ct)
    {
        var place = Path.Combine(folder, Guid.NewGuid().ToString("N"));
        var plan = builder.Plan(place);
        var choice = new StateChoice { System = new AdapterChoice(SqliteState.AdapterName, null), Components = new Dictionary<string, AdapterChoice>(), Required = true, Options = new CheckpointOptions() };
        await using var state = await StateHome.OpenAsync(choice, new StateStart(Fresh: true), plan.Name, place, time, NullLogger.Instance, ct).ConfigureAwait(false);
        using var assembly = BenchSystem.Assemble(plan, builder.Create, time, state, interval);
        var took = await BenchSystem.RunAsync(assembly, time, ct).ConfigureAwait(false);
        var host = assembly.Run.Hosts.Single(h => h.Plan.Name == "state");
        if (interval < s_runs && assembly.Checkpoints!.Snapshot.Taken < 3)
        {
            throw new InvalidOperationException($"only {assembly.Checkpoints.Snapshot.Taken} checkpoints were taken: {assembly.Checkpoints.Snapshot.LastError}");
        }

        return [new Figure(Rate, host.Loop.Counters.Taken / took.TotalSeconds), new Figure(Pause, host.Loop.Pauses.Quantile(0.99).TotalMilliseconds)];
    }

    private abstract class Timed<T>(TimeProvider time) : Source<T>
    {
        private readonly long _start = time.GetTimestamp();
        private long _next;

        protected abstract T Make(long number);

        protected internal override ValueTask<Read<T>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            new((_next & 1023) != 0 || time.GetElapsedTime(_start) < s_runs ? Read<T>.Item(Make(_next), _next, ++_next) : Read<T>.End);
    }

    private sealed class Counting(TimeProvider time) : Timed<long>(time)
    {
        protected override long Make(long number) => number;
    }

    private sealed class Naming(TimeProvider time) : Timed<JsonElement>(time)
    {
        private readonly JsonElement[] _keys = [.. Enumerable.Range(0, KeyCount).Select(static n => JsonSerializer.SerializeToElement($"key{n}", PlainText.Default.String))];

        protected override JsonElement Make(long number) => _keys[number % KeyCount];
    }

    // A mebibyte that changes with every event: frozen by a copy, as a state without structure must be.
    [Component("holding", Type = ComponentType.Sink, StateVersion = 1)]
    private sealed class Holding : Sink<long>
    {
        private readonly byte[] _state = new byte[1 << 20];

        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            _state[e.Data & (_state.Length - 1)]++;
            return default;
        }

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
        {
            var frozen = _state.ToArray();
            return new((into, token) => new ValueTask(into.WriteAsync(frozen, token).AsTask()));
        }
    }

    private sealed class Dropping : Sink<JsonElement>
    {
        protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct) => default;
    }
}
