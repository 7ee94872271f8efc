using System.Text.Json;
using K4os.Hash.xxHash;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;

namespace Loom.Harness.Commands;

/// <summary>
/// A component written in any language: each event is an <c>item</c> line, what it becomes are <c>emit</c> lines up to its <c>done</c>. Several are under way at
/// once, as many as the program says it takes; the loop keeps their order.
/// </summary>
internal sealed class CommandComponent : ItemComponent<JsonElement, JsonElement>, IPipelined
{
    private readonly ComponentPlan _plan;
    private readonly CommandSurroundings _around;
    private readonly CommandProcess[] _processes;
    private readonly CommandEvents _events;
    private readonly Queue<ChildEmit> _free = new();
    private long _atEnd;
    private uint _turn;

    public CommandComponent(ComponentPlan plan, CommandSurroundings around)
    {
        (_plan, _around) = (plan, around);
        Inputs = [.. plan.Ports.Where(p => p.Class == SemanticClass.DataIn).Select(p => p.Name)];
        Outputs = [.. plan.Ports.Where(p => p.Class == SemanticClass.DataOut).Select(p => p.Name)];
        var log = around.Loggers.CreateLogger("Loom.Harness." + plan.Name);
        _events = new CommandEvents(plan.Name, around.Models, around.Time, log, OnFreeEmit, static () => { }, static () => { });
        _processes = [.. Enumerable.Range(0, plan.Uses.Command!.Replicas).Select(i => new CommandProcess(plan, around, _events, i, log))];
    }

    /// <summary>Why it is beyond its restarts; null = it is not.</summary>
    public Exception? Failure => _processes.Select(p => p.Failure).FirstOrDefault(f => f is ComponentFailedException);

    /// <summary>How often its programs were set up again.</summary>
    public int Restarts => _processes.Sum(p => p.Restarts);

    // What is released as it comes is released by one event at a time.
    public int InFlight => _processes.Any(p => p.Ready.Stream) ? 1 : _processes.Sum(p => p.Ready.MaxInFlight);

    protected internal override IReadOnlyList<string> Inputs { get; }

    protected internal override IReadOnlyList<string> Outputs { get; }

    protected internal override bool HandlesBatches => _plan.Batching is not null && _processes[0].Ready.Batch;

    protected internal override async ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _events.Metrics = ctx.Metrics;
        foreach (var process in _processes)
        {
            ctx.Own(process);
            await process.StartAsync(ct).ConfigureAwait(false);
        }
    }

    protected internal override async ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) =>
        await Task.WhenAll(_processes.Select(p => p.StopAsync(ct))).ConfigureAwait(false);

    internal override async ValueTask HandleAsync(int port, Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var process = ProcessFor(e.Key);
        var item = new CommandItem(Inputs[port], e, null)
        {
            Bytes = Streams.PayloadSize<JsonElement>.Of(e.Data),
            Stream = process.Ready.Stream ? emit => ReleaseAsync(e, emit, output, ct) : null,
        };
        var result = await AskAsync(process, item, ct).ConfigureAwait(false);
        if (result.Errors is [{ Error: var error }, ..])
        {
            throw error;
        }

        foreach (var emit in result.Emits)
        {
            await output.SendAsync(emit.Port, Derived(e, emit), ct).ConfigureAwait(false);
        }
    }

    internal override async ValueTask HandleBatchAsync(Batch<JsonElement> batch, BatchEmitter<JsonElement> output, CancellationToken ct)
    {
        // The batch is the loop's to use again; one that is kept for a crash must not change.
        var kept = batch.Part(batch.Span);
        var result = await AskAsync(ProcessFor(null), new CommandItem(Inputs[batch.Port], batch[0], kept) { Bytes = kept.Sum(e => Streams.PayloadSize<JsonElement>.Of(e.Data)) }, ct).ConfigureAwait(false);
        if (result.Errors.FirstOrDefault(e => e.Index is null) is { } whole)
        {
            throw whole.Error;
        }

        foreach (var (index, error) in result.Errors)
        {
            output.Fail(index!.Value, error);
        }

        for (var i = 0; i < result.Emits.Count; i++)
        {
            // Without an index: one result for each member in order, or results of the batch as a whole, which follow its last member.
            var emit = result.Emits[i];
            var index = emit.Index ?? (result.Emits.Count == batch.Count ? i : batch.Count - 1);
            output.Send(index, emit.Port, Derived(batch[index], emit));
        }
    }

    protected internal override async ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct)
    {
        if (!end)
        {
            return;
        }

        foreach (var process in _processes)
        {
            await process.DrainAsync(ct).ConfigureAwait(false);
        }

        ChildEmit[] last;
        lock (_free)
        {
            last = [.. _free];
            _free.Clear();
        }

        foreach (var emit in last)
        {
            var e = new Event<JsonElement>(EventId.Root($"{_plan.Name}:end", _atEnd++), emit.Data, emit.Key, _around.Time.GetUtcNow());
            await output.SendAsync(emit.Port, Headed(e, emit), ct).ConfigureAwait(false);
        }
    }

    protected internal override async ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        if (!_processes[0].Ready.Stateful)
        {
            return null;
        }

        var states = new List<JsonElement>();
        foreach (var process in _processes)
        {
            states.Add(await process.SnapshotAsync(ct).ConfigureAwait(false));
        }

        return async (into, token) => await JsonSerializer.SerializeAsync(into, states, CommandJson.Default.ListJsonElement, token).ConfigureAwait(false);
    }

    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var states = await JsonSerializer.DeserializeAsync(state.Content, CommandJson.Default.ListJsonElement, ct).ConfigureAwait(false) ?? [];
        if (states.Count != _processes.Length)
        {
            throw new InvalidDataException(
                $"the checkpoint holds the state of {states.Count} replicas of \"{_plan.Name}\" and there are {_processes.Length}: run with {states.Count}, or begin anew with --fresh");
        }

        for (var i = 0; i < states.Count; i++)
        {
            _processes[i].Restore(states[i]);
        }
    }

    private async ValueTask<CommandResult> AskAsync(CommandProcess process, CommandItem item, CancellationToken ct)
    {
        try
        {
            return await process.SendAsync(item, ct).ConfigureAwait(false);
        }
        catch (ComponentFailedException e) when (_plan.Restart.OnExhausted == OnExhausted.Isolate)
        {
            throw new ItemException("component_failed", e.Message);
        }
    }

    // Keyed events keep to one replica, whose state they live in; others go round.
    private CommandProcess ProcessFor(string? key) => _processes.Length == 1
        ? _processes[0]
        : _processes[key is null ? (int)(Interlocked.Increment(ref _turn) % (uint)_processes.Length) : (int)(Hash(key) % (uint)_processes.Length)];

    private static uint Hash(string key) => (uint)XXH64.DigestOf(System.Text.Encoding.UTF8.GetBytes(key));

    private static Event<JsonElement> Derived(in Event<JsonElement> parent, ChildEmit emit) => Headed(parent.Derive(emit.Data), emit);

    private static Event<JsonElement> Headed(Event<JsonElement> e, ChildEmit emit)
    {
        e = emit.Key is null ? e : e.WithKey(emit.Key);
        foreach (var (name, value) in emit.Headers ?? new Dictionary<string, string>())
        {
            e = e.WithHeader(name, value);
        }

        return e;
    }

    private async ValueTask ReleaseAsync(Event<JsonElement> parent, ChildEmit emit, Emitter<JsonElement> output, CancellationToken ct)
    {
        await output.SendAsync(emit.Port, Derived(parent, emit), ct).ConfigureAwait(false);
        if (output.Release is { } release)
        {
            await release(output, ct).ConfigureAwait(false);
        }
    }

    private ValueTask OnFreeEmit(ChildEmit emit)
    {
        lock (_free)
        {
            _free.Enqueue(emit);
        }

        return default;
    }
}
