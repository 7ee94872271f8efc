using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Microsoft.Data.Sqlite;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Where a store keeps its values.</summary>
internal enum StoreKind
{
    /// <summary>In memory; part of checkpoints.</summary>
    Memory,

    /// <summary>In a table of an SQLite database; each answer to a put or delete says that it is written.</summary>
    Sqlite,
}

/// <summary>Settings of <c>store</c>.</summary>
internal sealed record StoreOptions : IValidatableObject
{
    [Description("memory (kept by checkpoints) or sqlite (a file).")]
    public StoreKind Kind { get; init; }

    [Description("sqlite: the file, relative to the system's folder; made when it is not there.")]
    public string Path { get; init; } = "";

    [Description("sqlite: the table, with the columns key, value (JSON) and expires (ticks of UTC).")]
    public string Table { get; init; } = "store";

    [Description("How long a value is kept after it was put, by the clock. Not set: for ever.")]
    public TimeSpan? Ttl { get; init; }

    [Range(1, 100_000_000)]
    [Description("memory: how many keys there may be; a put of one more is answered with an error.")]
    public int MaxKeys { get; init; } = 1_000_000;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Kind == StoreKind.Sqlite && Path.Length == 0)
        {
            yield return new ValidationResult("kind: sqlite needs path", [nameof(Path)]);
        }

        if (Ttl <= TimeSpan.Zero)
        {
            yield return new ValidationResult("ttl is longer than nothing; leave it out for no limit", [nameof(Ttl)]);
        }
    }
}

/// <summary>Answers get, put and delete.</summary>
[Component("store", Type = ComponentType.Store, StateVersion = 1, OneAtATime = true,
    Summary = "Keeps values under keys and answers get, put and delete of the components whose request_response ports are bound to it, such as lookup.")]
[Answers]
internal sealed class StoreComponent(StoreOptions options, TimeProvider time) : Transformer<JsonElement, JsonElement>
{
    private IKeyedValues? _values;

    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _values = options.Kind == StoreKind.Memory ? new MemoryValues(options.MaxKeys) : ctx.Own(SqliteValues.Open(ctx.WritePath(options.Path), options.Table));
        return default;
    }

    // Whoever asks always gets an answer: an error here is an error of the event over there.
    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) => output.SendAsync(e.With(Answer(e.Data)), ct);

    protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        if (_values is not MemoryValues memory)
        {
            return new((StateWriter?)null);
        }

        var frozen = memory.Freeze();
        return new((into, token) => StateLines.WriteAsync(into, frozen, Write, token));
    }

    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        if (_values is not MemoryValues memory)
        {
            return;
        }

        await foreach (var line in StateLines.ReadAsync(state.Content, ct).ConfigureAwait(false))
        {
            memory.Put(line[0].GetString()!, line[2].Clone(), line[1].GetInt64(), now: 0);
        }
    }

    private JsonElement Answer(JsonElement request)
    {
        try
        {
            var (op, key, value) = StoreRequest.Read(request);
            var now = time.GetUtcNow().UtcTicks;
            switch (op)
            {
                case StoreOp.Get:
                    return StoreRequest.Answer(_values!.Get(key, now));
                case StoreOp.Put:
                    _values!.Put(key, value.Clone(), options.Ttl is { } ttl ? now + ttl.Ticks : long.MaxValue, now);
                    return StoreRequest.Answer(null);
                default:
                    _values!.Delete(key);
                    return StoreRequest.Answer(null);
            }
        }
        catch (Exception e) when (e is ItemException or SqliteException)
        {
            return StoreRequest.Error(e.Message, transient: e is SqliteException);
        }
    }

    private static void Write(Utf8JsonWriter json, (string Key, long Expires, JsonElement Value) entry)
    {
        json.WriteStartArray();
        json.WriteStringValue(entry.Key);
        json.WriteNumberValue(entry.Expires);
        entry.Value.WriteTo(json);
        json.WriteEndArray();
    }
}
