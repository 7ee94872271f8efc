using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Commands;

/// <summary>One event a component sent: as a result of an item, or of its own accord.</summary>
/// <param name="Port">The output port.</param>
/// <param name="Data">The payload.</param>
/// <param name="Key">Another key than the parent's; null = the parent's.</param>
/// <param name="Headers">Headers over the parent's; null = none.</param>
/// <param name="Index">For a batch: the member it comes from; null = not said.</param>
internal sealed record ChildEmit(string Port, JsonElement Data, string? Key, IReadOnlyDictionary<string, string>? Headers, int? Index);

/// <summary>A member of a batch that failed; without an index the whole item.</summary>
internal sealed record ChildError(int? Index, ItemException Error);

/// <summary>What became of an item.</summary>
internal sealed record CommandResult(IReadOnlyList<ChildEmit> Emits, IReadOnlyList<ChildError> Errors);

/// <summary>One event or batch on its way through a component: kept until it is answered, so that a crash loses nothing.</summary>
internal sealed class CommandItem(string port, Event<JsonElement> e, Batch<JsonElement>? batch)
{
    /// <summary>Held results of one item: past this many, or this many bytes, it fails.</summary>
    public const int MostEmits = 10_000;

    public const long MostBytes = 64 << 20;

    private readonly List<ChildEmit> _emits = [];
    private readonly List<ChildError> _errors = [];
    private long _bytes;

    /// <summary>Its number in the conversation; given once and kept when it is sent again.</summary>
    public long Number { get; set; }

    public string Port => port;

    public Event<JsonElement> Event => e;

    /// <summary>Null for a single event.</summary>
    public Batch<JsonElement>? Batch => batch;

    /// <summary>Which delivery this is, from 1.</summary>
    public int Attempt { get; set; } = e.Attempt;

    /// <summary>Nobody waits for it any more; an answer is still due.</summary>
    public bool Cancelled { get; set; }

    /// <summary>When it was cancelled, as a timestamp.</summary>
    public long CancelledAt { get; set; }

    /// <summary>Sent only to bring state back: what comes of it was released before.</summary>
    public bool Replay { get; init; }

    /// <summary>Takes results as they come, where the component opted out of holding them back; null = they are held.</summary>
    public Func<ChildEmit, ValueTask>? Stream { get; init; }

    public TaskCompletionSource<CommandResult> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Bytes of its payload, for the journal.</summary>
    public long Bytes { get; init; }

    public ValueTask EmitAsync(ChildEmit emit, long bytes)
    {
        if (Replay || Cancelled)
        {
            return default;
        }

        if (Stream is not null)
        {
            return Stream(emit);
        }

        _bytes += bytes;
        if (_emits.Count >= MostEmits || _bytes > MostBytes)
        {
            _emits.Clear();
            _errors.Add(new ChildError(null, new ItemException(
                "too_many_emits", $"one event became more than {MostEmits} events or {MostBytes >> 20} MiB; stream: true in ready releases them as they come")));
            _bytes = long.MinValue / 2; // said once; the rest is dropped until it is answered
        }
        else if (_errors.Count == 0 || _errors[^1].Index is not null)
        {
            _emits.Add(emit);
        }

        return default;
    }

    public void Refuse(ChildError error) => _errors.Add(error);

    public void Complete() => Done.TrySetResult(new CommandResult(_emits, _errors));

    /// <summary>Forgets what a crashed attempt sent.</summary>
    public void Again()
    {
        _emits.Clear();
        _errors.Clear();
        _bytes = 0;
        Attempt++;
    }
}
