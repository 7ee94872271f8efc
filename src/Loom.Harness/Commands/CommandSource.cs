using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Commands;

/// <summary>
/// A source written in any language: it sends <c>emit</c> lines of no item and, at last, <c>end</c>. Ids count its events. A replayable one tells in its state where it
/// stands; events it had sent by then and nobody had read are kept beside that state.
/// </summary>
internal sealed class CommandSource : Source<JsonElement>, IAsyncDisposable
{
    private readonly SourceQueue _queue = new();
    private readonly CommandEvents _events;
    private readonly CommandProcess _process;
    private JsonElement? _from;
    private bool _askedToDrain;
    private bool _begun;

    public CommandSource(ComponentPlan plan, CommandSurroundings around)
    {
        if (plan.Uses.Command!.Replicas > 1)
        {
            throw new InvalidOperationException($"component \"{plan.Name}\" is a source with {plan.Uses.Command.Replicas} replicas, which would each send everything; a source has one");
        }

        var log = around.Loggers.CreateLogger("Loom.Harness." + plan.Name);
        _events = new CommandEvents(plan.Name, around.Models, around.Time, log, _queue.AddAsync, _queue.End, _queue.Mark);
        _process = new CommandProcess(plan, around, _events, 0, log) { OnCrash = () => _queue.Again(_process!.Ready.Replayable) };
    }

    /// <summary>How often its program was set up again.</summary>
    public int Restarts => _process.Restarts;

    protected internal override async ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _events.Metrics = ctx.Metrics;
        ctx.Own(_process);
        await _process.StartAsync(ct).ConfigureAwait(false);
    }

    protected internal override async ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
    {
        _queue.Close(); // nobody reads any more: what it still sends must not hold up its goodbye
        await _process.StopAsync(ct).ConfigureAwait(false);
    }

    protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
    {
        if (next.TryGetValue("0", out var offset))
        {
            _queue.Seek(offset);
        }

        return default;
    }

    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        if (stopping.IsCancellationRequested && !_askedToDrain)
        {
            _askedToDrain = true;
            _process.AskToDrain();
        }

        if (!_begun && _process.Ready.Replayable)
        {
            // It begins when it is told where: with null from the beginning.
            _process.Restore(_from ?? JsonSerializer.SerializeToElement<object?>(null, CommandJson.Default.Object));
        }

        _begun = true;
        while (true)
        {
            if (_queue.TryTake(out var emit, out var offset, out var more))
            {
                return emit is null
                    ? Read<JsonElement>.End
                    : new Read<JsonElement> { Data = emit.Data, Partition = "0", Offset = offset, Next = offset + 1, Key = emit.Key };
            }

            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
            if (await Task.WhenAny(more, _process.Failed.Task).WaitAsync(either.Token).ConfigureAwait(false) == _process.Failed.Task)
            {
                throw await _process.Failed.Task.ConfigureAwait(false);
            }
        }
    }

    protected internal override async ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        if (!_process.Ready.Replayable)
        {
            return null;
        }

        // What it sent before its answer is in the pipe before it: it is taken in, however much of it there is, and nothing is handed out meanwhile.
        _queue.Freeze();
        JsonElement state;
        (long First, IReadOnlyList<ChildEmit> Pending) left;
        try
        {
            state = await _process.SnapshotAsync(ct).ConfigureAwait(false);
        }
        finally
        {
            left = _queue.Thaw();
        }

        return (into, token) => WriteAsync(into, state, left.First, left.Pending, token);
    }

    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        using var json = await JsonDocument.ParseAsync(state.Content, Errors.PayloadJson.Around, ct).ConfigureAwait(false);
        var pending = json.RootElement.GetProperty("pending").EnumerateArray()
            .Select(e => new ChildEmit("out", e.GetProperty("data").Clone(), e.GetProperty("key").GetString(), null, null));
        _queue.Restore(json.RootElement.GetProperty("first").GetInt64(), pending);
        _from = json.RootElement.GetProperty("child").Clone();
    }

    public ValueTask DisposeAsync() => _process.DisposeAsync();

    private static async ValueTask WriteAsync(Stream into, JsonElement state, long first, IReadOnlyList<ChildEmit> pending, CancellationToken ct)
    {
        await using var json = new Utf8JsonWriter(into);
        json.WriteStartObject();
        json.WriteNumber("first", first);
        json.WritePropertyName("child");
        state.WriteTo(json);
        json.WriteStartArray("pending");
        foreach (var emit in pending)
        {
            json.WriteStartObject();
            json.WriteString("key", emit.Key);
            json.WritePropertyName("data");
            emit.Data.WriteTo(json);
            json.WriteEndObject();
            if (json.BytesPending > 64 * 1024)
            {
                await json.FlushAsync(ct).ConfigureAwait(false);
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
        await json.FlushAsync(ct).ConfigureAwait(false);
    }
}
