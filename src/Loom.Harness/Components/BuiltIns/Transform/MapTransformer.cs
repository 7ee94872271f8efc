using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text;
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
    private readonly (byte[] Name, Expression Value)[] _set = [.. options.Set.Select(s => (Encoding.UTF8.GetBytes(s.Key), s.Value))];
    private readonly byte[][] _remove = [.. options.Remove.Select(Encoding.UTF8.GetBytes)];
    private readonly byte[][] _only = [.. options.Only.Select(Encoding.UTF8.GetBytes)];

    protected override ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var data = options.Expr is not null ? options.Expr.Evaluate(e) : _set.Length + _remove.Length + _only.Length > 0 ? Fields(e) : e.Data;
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
            var index = IndexOf(member);
            if (index >= 0)
            {
                json.WritePropertyName(_set[index].Name);
                values[index].WriteTo(json);
                written |= index < 64 ? 1UL << index : 0;
            }
            else if (!IsAmong(member, _remove) && (_only.Length == 0 || IsAmong(member, _only)))
            {
                member.WriteTo(json);
            }
        }

        for (var i = 0; i < _set.Length; i++)
        {
            if (i < 64 ? (written & (1UL << i)) == 0 : !e.Data.TryGetProperty(_set[i].Name, out _))
            {
                json.WritePropertyName(_set[i].Name);
                values[i].WriteTo(json);
            }
        }

        return payload.End();
    }

    private int IndexOf(JsonProperty member)
    {
        for (var i = 0; i < _set.Length; i++)
        {
            if (member.NameEquals(_set[i].Name))
            {
                return i;
            }
        }

        return -1;
    }

    private static bool IsAmong(JsonProperty member, byte[][] names)
    {
        foreach (var name in names)
        {
            if (member.NameEquals(name))
            {
                return true;
            }
        }

        return false;
    }
}
