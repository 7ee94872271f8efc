using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Transform;

/// <summary>Settings of <c>map</c>.</summary>
internal sealed record MapOptions : IValidatableObject
{
    [Description("The new payload, as one expression: {'id': data.id, 'total': data.price * data.count}. Not beside set, remove or only.")]
    public Expression? Expr { get; init; }

    [Description("Fields to set on the payload, each an expression over the event as it came; the other fields stay.")]
    public IReadOnlyDictionary<string, Expression> Set { get; init; } = new Dictionary<string, Expression>();

    [Description("Fields to take away; one that is not there is no error.")]
    public IReadOnlyList<string> Remove { get; init; } = [];

    [Description("Fields to keep besides those in set; all others go. Empty: all stay.")]
    public IReadOnlyList<string> Only { get; init; } = [];

    [Description("A new key for the event, which partitions and order per key follow.")]
    public Expression? Key { get; init; }

    [Description("A new time for the event, for windows in event time: a timestamp, its text in RFC 3339, or seconds since 1970.")]
    public Expression? Time { get; init; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        var fields = Set.Count + Remove.Count + Only.Count > 0;
        if (Expr is not null && fields)
        {
            yield return new ValidationResult("expr makes the whole payload; leave out set, remove and only, or leave out expr", [nameof(Expr)]);
        }
        else if (Expr is null && !fields && Key is null && Time is null)
        {
            yield return new ValidationResult("it would change nothing; give expr, set, remove, only, key or time");
        }
    }
}

/// <summary>Makes another payload of each event.</summary>
[Component("map", Type = ComponentType.Transformer, Summary = "Makes another payload of each event, whole or field by field, and may give it another key or time.")]
internal sealed class MapTransformer(MapOptions options) : Transformer<JsonElement, JsonElement>
{
    private readonly KeyValuePair<string, Expression>[] _set = [.. options.Set];
    private readonly HashSet<string> _remove = [.. options.Remove];
    private readonly HashSet<string>? _only = options.Only.Count == 0 ? null : [.. options.Only];

    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var data = options.Expr is not null ? options.Expr.Evaluate(e) : _set.Length > 0 || _remove.Count > 0 || _only is not null ? Fields(e) : e.Data;
        var result = e.Derive(data);
        if (options.Key is not null)
        {
            result = result.WithKey(options.Key.Key(e));
        }

        if (options.Time is not null)
        {
            result = result.WithTime(EventTimes.Of(options.Time, e));
        }

        return output.SendAsync(result, ct);
    }

    private JsonElement Fields(in Event<JsonElement> e)
    {
        if (e.Data.ValueKind != JsonValueKind.Object)
        {
            throw new ItemException("expression_error", $"fields are set on an object, and the payload is {e.Data.ValueKind}; use expr");
        }

        // All values first: what is written below may not be interrupted by an error.
        var values = new JsonElement[_set.Length];
        for (var i = 0; i < _set.Length; i++)
        {
            values[i] = _set[i].Value.Evaluate(e);
        }

        var payload = Payloads.Writer;
        var json = payload.Begin();
        var written = 0UL;
        foreach (var member in e.Data.EnumerateObject())
        {
            var index = Array.FindIndex(_set, s => member.NameEquals(s.Key));
            if (index >= 0)
            {
                json.WritePropertyName(_set[index].Key);
                values[index].WriteTo(json);
                written |= index < 64 ? 1UL << index : 0;
            }
            else if (_only is null ? !_remove.Contains(member.Name) : _only.Contains(member.Name) && !_remove.Contains(member.Name))
            {
                member.WriteTo(json);
            }
        }

        for (var i = 0; i < _set.Length; i++)
        {
            if (i < 64 ? (written & (1UL << i)) == 0 : !e.Data.TryGetProperty(_set[i].Key, out _))
            {
                json.WritePropertyName(_set[i].Key);
                values[i].WriteTo(json);
            }
        }

        return payload.End();
    }
}
