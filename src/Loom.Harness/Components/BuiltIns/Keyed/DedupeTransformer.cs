using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Settings of <c>dedupe</c>.</summary>
internal sealed record DedupeOptions : IValidatableObject
{
    [Description("What makes two events the same: a field (data.url), several ([data.a, data.b]) or, by default, the event's id.")]
    public Expression Key { get; init; } = Expression.Compile("id");

    [Range(1, 100_000_000)]
    [Description("How many keys are remembered; beyond that the one not met for longest is forgotten. About 100 bytes a key and its text.")]
    public int MaxKeys { get; init; } = 100_000;

    [Description("How long after its first event, by the events' own times, a key counts as known. Not set: as long as it is remembered.")]
    public TimeSpan? Ttl { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (Ttl <= TimeSpan.Zero)
        {
            yield return new ValidationResult("ttl is longer than nothing; leave it out for no limit", [nameof(Ttl)]);
        }

        if (Key.IsConstant)
        {
            yield return new ValidationResult($"the key {Key.Text} is the same for all events, so all but the first would be dropped", [nameof(Key)]);
        }
    }
}

/// <summary>Lets the first event of each key pass.</summary>
[Component("dedupe", Type = ComponentType.Transformer, StateVersion = 1, OneAtATime = true,
    Summary = "Lets the first event of each key pass and leaves out the ones that repeat it. What it has seen is part of checkpoints.")]
internal sealed class DedupeTransformer(DedupeOptions options) : Transformer<JsonElement, JsonElement>
{
    private readonly long _timeToLive = options.Ttl?.Ticks ?? 0;
    private SeenKeys _seen = new(options.MaxKeys);

    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct) =>
        _seen.IsNew(options.Key.Key(e), e.Time.UtcTicks, _timeToLive) ? output.SendAsync(e, ct) : default;

    protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        var frozen = _seen.Freeze();
        return new((into, token) => StateLines.WriteAsync(into, frozen, Write, token));
    }

    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var seen = new SeenKeys(options.MaxKeys);
        await foreach (var line in StateLines.ReadAsync(state.Content, ct).ConfigureAwait(false))
        {
            seen.Add(line[0].GetString()!, line[1].GetInt64());
        }

        _seen = seen;
    }

    private static void Write(Utf8JsonWriter json, (string Key, long Ticks) entry)
    {
        json.WriteStartArray();
        json.WriteStringValue(entry.Key);
        json.WriteNumberValue(entry.Ticks);
        json.WriteEndArray();
    }
}
