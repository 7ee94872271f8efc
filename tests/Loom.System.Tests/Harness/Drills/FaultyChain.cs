using System.Collections.Concurrent;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// A source, three transformers and a sink in a row, any of which can go wrong at any point of its life. Everything an instance goes through is written down.
/// </summary>
internal sealed class FaultyChain(Fault fault, int items)
{
    public const int Length = 5;

    private int _instances;

    /// <summary>What happened: position, instance, event of its life.</summary>
    public ConcurrentQueue<(int Position, int Instance, string What)> Log { get; } = [];

    /// <summary>What the sink was given, by one loop.</summary>
    public List<long> Kept { get; } = [];

    /// <summary>The source waits here in the middle of its data.</summary>
    public TaskCompletionSource Half { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Fault Fault => fault;

    public int Items => items;

    /// <summary>The system; components that batch take four at once.</summary>
    public HarnessBuilder Build(bool batching)
    {
        var builder = new HarnessBuilder("chain").Add("c0", () => new From(this), Shape(false));
        for (var i = 1; i < Length - 1; i++)
        {
            var position = i;
            builder.Add($"c{i}", () => new Through(this, position), Shape(batching));
        }

        builder.Add($"c{Length - 1}", () => new Into(this), Shape(batching));
        for (var i = 1; i < Length; i++)
        {
            builder.Bind($"c{i - 1}.out", $"c{i}.in");
        }

        return builder;
    }

    /// <summary>Positions of what was logged, in order.</summary>
    public List<int> Positions(string what) => [.. Log.Where(l => l.What == what).Select(l => l.Position)];

    private static Func<ComponentPlan, ComponentPlan> Shape(bool batching) => p => p with
    {
        Restart = new RestartPlan { Backoff = TimeSpan.FromMilliseconds(10) },
        Batching = batching ? new BatchingPlan { MaxItems = 4, MaxWait = TimeSpan.FromMilliseconds(50) } : null,
    };

    private FaultPoint? PointOf(long number) =>
        number == 0 ? FaultPoint.First : number == items / 2 ? FaultPoint.Middle : number == items - 1 ? FaultPoint.Last : null;

    private Task StrikeAsync(long number, int position) => PointOf(number) is { } point ? fault.StrikeAsync(point, position) : Task.CompletedTask;

    /// <summary>What every one of them does the same way.</summary>
    private sealed class Life
    {
        private readonly FaultyChain _chain;
        private readonly int _position;
        private readonly int _instance;

        public Life(FaultyChain chain, int position)
        {
            (_chain, _position, _instance) = (chain, position, Interlocked.Increment(ref chain._instances));
            chain.Fault.Strike(FaultPoint.Constructor, position);
        }

        public long Handled { get; set; }

        public async ValueTask SetupAsync(SetupContext ctx)
        {
            ctx.Own<IDisposable>(new Owned(() => Note("disposed")));
            Note("setup");
            await _chain.Fault.StrikeAsync(FaultPoint.Setup, _position);
            Note("ready");
        }

        public async ValueTask RestoreAsync(RestoredState state)
        {
            Note("restore");
            await _chain.Fault.StrikeAsync(FaultPoint.Restore, _position);
            using var reader = new BinaryReader(state.Content);
            Handled = reader.ReadInt64();
        }

        public async ValueTask<StateWriter?> SnapshotAsync()
        {
            await _chain.Fault.StrikeAsync(FaultPoint.Snapshot, _position);
            var handled = Handled;
            return (into, ct) => into.WriteAsync(BitConverter.GetBytes(handled), ct);
        }

        public async ValueTask FlushAsync() => await _chain.Fault.StrikeAsync(FaultPoint.Flush, _position);

        public async ValueTask CleanupAsync()
        {
            Note("cleanup");
            await _chain.Fault.StrikeAsync(FaultPoint.Cleanup, _position);
        }

        public async ValueTask TakeAsync(long number)
        {
            await _chain.StrikeAsync(number, _position);
            Handled++;
        }

        public async ValueTask TakeBatchAsync() => await _chain.Fault.StrikeAsync(FaultPoint.Batch, _position);

        public void Note(string what) => _chain.Log.Enqueue((_position, _instance, what));
    }

    [Component("drill.from", Type = ComponentType.Source, Replayable = true, StateVersion = 1)]
    private sealed class From(FaultyChain chain) : Source<long>
    {
        private readonly Life _life = new(chain, 0);
        private long _next;

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct) => _life.SetupAsync(ctx);

        protected internal override ValueTask RestoreAsync(RestoredState state, CancellationToken ct) => _life.RestoreAsync(state);

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct) => _life.SnapshotAsync();

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) => _life.CleanupAsync();

        protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
        {
            _next = next.GetValueOrDefault("0");
            return default;
        }

        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            if (_next == 0)
            {
                _life.Note("process");
            }

            if (_next == chain.Items)
            {
                return Read<long>.End;
            }

            if (_next == chain.Items / 2)
            {
                await chain.Half.Task.WaitAsync(ct);
            }

            await _life.TakeAsync(_next);
            return Read<long>.Item(_next, _next, ++_next);
        }
    }

    [Component("drill.through", Type = ComponentType.Transformer, StateVersion = 1)]
    private sealed class Through(FaultyChain chain, int position) : Transformer<long, long>
    {
        private readonly Life _life = new(chain, position);

        protected internal override bool HandlesBatches => true;

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct) => _life.SetupAsync(ctx);

        protected internal override ValueTask RestoreAsync(RestoredState state, CancellationToken ct) => _life.RestoreAsync(state);

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct) => _life.SnapshotAsync();

        protected internal override ValueTask FlushAsync(bool end, Emitter<long> output, CancellationToken ct) => _life.FlushAsync();

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) => _life.CleanupAsync();

        protected override async ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct)
        {
            await _life.TakeAsync(e.Data);
            await output.SendAsync(e.Derive(e.Data), ct);
        }

        protected override async ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            await _life.TakeBatchAsync();
            for (var i = 0; i < batch.Count; i++)
            {
                await _life.TakeAsync(batch[i].Data);
                output.Send(i, batch[i].Derive(batch[i].Data));
            }
        }
    }

    [Component("drill.into", Type = ComponentType.Sink, StateVersion = 1)]
    private sealed class Into(FaultyChain chain) : Sink<long>
    {
        private readonly Life _life = new(chain, Length - 1);

        protected internal override bool HandlesBatches => true;

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct) => _life.SetupAsync(ctx);

        protected internal override ValueTask RestoreAsync(RestoredState state, CancellationToken ct) => _life.RestoreAsync(state);

        protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct) => _life.SnapshotAsync();

        protected internal override ValueTask FlushAsync(bool end, Emitter<long> output, CancellationToken ct) => _life.FlushAsync();

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) => _life.CleanupAsync();

        protected override async ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            await _life.TakeAsync(e.Data);
            chain.Kept.Add(e.Data);
        }

        protected override async ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            await _life.TakeBatchAsync();
            foreach (var e in batch)
            {
                await _life.TakeAsync(e.Data);
                chain.Kept.Add(e.Data);
            }
        }
    }

    private sealed class Owned(Action onDispose) : IDisposable
    {
        public void Dispose() => onDispose();
    }
}
