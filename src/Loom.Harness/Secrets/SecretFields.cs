using System.Buffers;
using System.Text.Json;
using Loom.Harness.Architecture;
using Loom.Harness.Components;
using Loom.Harness.Errors;
using Loom.Harness.Expressions;

namespace Loom.Harness.Secrets;

/// <summary>What of a port's payloads is shown to nobody: fields its schema marks <c>x-secret</c>, and texts that hold a value of a configured secret. Immutable.</summary>
internal sealed class SecretFields
{
    /// <summary>What stands in their place.</summary>
    public const string Mask = "[redacted]";

    private readonly IReadOnlyCollection<SecretSchema> _schemas;
    private readonly string[] _values;
    private readonly SecretText _secrets;

    /// <summary>Nothing is secret.</summary>
    public static SecretFields None { get; } = new([], new Dictionary<string, string>());

    private SecretFields(IReadOnlyCollection<SecretSchema> schemas, IReadOnlyDictionary<string, string> secrets)
    {
        _schemas = schemas;
        _values = [.. secrets.Values.Where(v => v.Length > 0)];
        _secrets = SecretText.Of(secrets);
    }

    /// <summary>Whether a payload has to be looked through at all.</summary>
    private bool IsNone => _schemas.Count == 0 && _values.Length == 0;

    /// <summary>Those of some schemas.</summary>
    internal static SecretFields Of(IEnumerable<string> schemas, IReadOnlyDictionary<string, string> secrets) =>
        new([.. schemas.Select(s => SecretSchema.Of(JsonElement.Parse(s))).OfType<SecretSchema>()], secrets);

    /// <summary>Those of the schema of either end of a binding.</summary>
    public static SecretFields Of(SystemPlan system, BindingPlan binding) =>
        new([.. SchemasOf(system, binding.FromComponent, binding.FromPort), .. SchemasOf(system, binding.ToComponent, binding.ToPort)], system.Secrets);

    /// <summary>Those of a port, and of the ports that are bound to it.</summary>
    public static SecretFields Of(SystemPlan system, string component, string port) =>
        new(
            [
                .. SchemasOf(system, component, port),
                .. system.Bindings.Where(b => b.ToComponent == component && b.ToPort == port).SelectMany(b => SchemasOf(system, b.FromComponent, b.FromPort)),
                .. system.Bindings.Where(b => b.FromComponent == component && b.FromPort == port).SelectMany(b => SchemasOf(system, b.ToComponent, b.ToPort)),
            ],
            system.Secrets);

    /// <summary>The first part of an expression that puts a field into its result which a schema marks, or what holds one; null: none does.</summary>
    public string? ReadBy(Expression expression) => expression.Paths.FirstOrDefault(p => SecretSchema.Reaches(_schemas, p.Steps))?.Source;

    /// <summary>JSON Pointers of what is secret in a payload, in order; none where nothing is.</summary>
    public IReadOnlyList<string> In(JsonElement payload)
    {
        if (IsNone)
        {
            return [];
        }

        var found = new SortedSet<string>(StringComparer.Ordinal);
        try
        {
            SecretSchema.Find(_schemas, payload, "", found);
            if (_values.Length > 0)
            {
                found.UnionWith(Leaves(payload, "").Where(l => HoldsValue(l.Value)).Select(static l => l.At));
            }
        }
        catch (InvalidOperationException)
        {
            // A name that holds half a surrogate pair is no text to .NET: what cannot be looked through is not shown.
            return [""];
        }

        return [.. found];
    }

    /// <summary>Texts and numbers that stand at the given places of a payload, as a message or a key may quote them; an empty text says nothing and is left out.</summary>
    public static IEnumerable<string> TextsAt(JsonElement payload, IReadOnlyCollection<string> places)
    {
        var texts = new HashSet<string>(StringComparer.Ordinal);
        // Where all of it is secret, names say nothing, and one that is no text keeps nothing back.
        var named = !places.Contains("");
        foreach (var (_, value) in Leaves(payload, "", named).Where(l => places.Any(p => l.At == p || l.At.StartsWith(p + "/", StringComparison.Ordinal))))
        {
            if (value.ValueKind == JsonValueKind.String)
            {
                texts.Add(Text(value));
            }
            else if (value.ValueKind == JsonValueKind.Number)
            {
                texts.Add(value.GetRawText());
                texts.Add(CanonicalJson.Of(value)); // as a key has it
            }
        }

        return texts.Where(t => t.Length > 0);
    }

    /// <summary>The key of an event as it may be shown: masked where it holds anything secret.</summary>
    /// <param name="key">As it is.</param>
    /// <param name="payload">The event's.</param>
    /// <param name="places">What is secret in it.</param>
    public string Key(string key, JsonElement payload, IReadOnlyCollection<string> places) =>
        (places.Count == 0 ? _secrets : _secrets.And([.. TextsAt(payload, places)])).IsIn(key) ? Mask : key;

    /// <summary>A payload as it may be shown.</summary>
    public JsonElement Shown(JsonElement payload)
    {
        if (In(payload) is not { Count: > 0 } places)
        {
            return payload;
        }

        var bytes = new ArrayBufferWriter<byte>(256);
        using (var json = new Utf8JsonWriter(bytes))
        {
            Write(json, payload, places);
        }

        return JsonElement.Parse(bytes.WrittenSpan, PayloadJson.Around);
    }

    /// <summary>Writes a payload with a mask at each of the places.</summary>
    public static void Write(Utf8JsonWriter json, JsonElement payload, IReadOnlyCollection<string> places)
    {
        if (places.Count == 0)
        {
            RawJson.Write(json, payload);
            return;
        }

        Write(json, payload, "", places);
    }

    /// <summary>The JSON Pointer of a field.</summary>
    public static string Below(string at, string name) => $"{at}/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}";

    private static IEnumerable<SecretSchema> SchemasOf(SystemPlan system, string component, string port)
    {
        var plan = system.Components.FirstOrDefault(c => c.Name == component)?.Ports.FirstOrDefault(p => p.Name == port);
        if (plan?.SchemaId is { } id && system.Schemas.TryGetValue(id, out var schema) && SecretSchema.Of(schema.Schema) is { } secret)
        {
            yield return secret;
        }
    }

    private static void Write(Utf8JsonWriter json, JsonElement value, string at, IReadOnlyCollection<string> places)
    {
        if (places.Contains(at))
        {
            json.WriteStringValue(Mask);
            return;
        }

        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                json.WriteStartObject();
                foreach (var property in value.EnumerateObject())
                {
                    json.WritePropertyName(property.Name);
                    Write(json, property.Value, Below(at, property.Name), places);
                }

                json.WriteEndObject();
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                var index = 0;
                foreach (var item in value.EnumerateArray())
                {
                    Write(json, item, $"{at}/{index++}", places);
                }

                json.WriteEndArray();
                break;
            default:
                RawJson.Write(json, value);
                break;
        }
    }

    // All that holds nothing else, each with its JSON Pointer.
    private static IEnumerable<(string At, JsonElement Value)> Leaves(JsonElement value, string at, bool named = true) => value.ValueKind switch
    {
        JsonValueKind.Object => value.EnumerateObject().SelectMany(p => Leaves(p.Value, Below(at, named ? p.Name : ""), named)),
        JsonValueKind.Array => value.EnumerateArray().SelectMany((item, index) => Leaves(item, $"{at}/{index}", named)),
        _ => [(at, value)],
    };

    private bool HoldsValue(JsonElement value)
    {
        var text = value.ValueKind switch
        {
            JsonValueKind.String => Text(value),
            JsonValueKind.Number => value.GetRawText(),
            _ => "",
        };
        return Array.Exists(_values, v => text.Contains(v, StringComparison.Ordinal));
    }

    // As it stands where it cannot be turned into text.
    private static string Text(JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return value.GetRawText();
        }
    }
}
