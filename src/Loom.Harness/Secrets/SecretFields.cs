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
                FindValues(payload, "", found);
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
        Visit(payload, "", inside: false);
        return texts.Where(t => t.Length > 0);

        void Visit(JsonElement value, string at, bool inside)
        {
            inside |= places.Contains(at);
            switch (value.ValueKind)
            {
                case JsonValueKind.Object:
                    foreach (var property in value.EnumerateObject())
                    {
                        Visit(property.Value, Below(at, property.Name), inside);
                    }

                    break;
                case JsonValueKind.Array:
                    var index = 0;
                    foreach (var item in value.EnumerateArray())
                    {
                        Visit(item, $"{at}/{index++}", inside);
                    }

                    break;
                case JsonValueKind.String when inside:
                    texts.Add(Text(value));
                    break;
                case JsonValueKind.Number when inside:
                    texts.Add(value.GetRawText());
                    texts.Add(CanonicalJson.Of(value)); // as a key has it
                    break;
            }
        }
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

    private void FindValues(JsonElement value, string at, SortedSet<string> found)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject())
                {
                    FindValues(property.Value, Below(at, property.Name), found);
                }

                break;
            case JsonValueKind.Array:
                var index = 0;
                foreach (var item in value.EnumerateArray())
                {
                    FindValues(item, $"{at}/{index++}", found);
                }

                break;
            case JsonValueKind.String or JsonValueKind.Number when Array.Exists(_values, v => (value.ValueKind == JsonValueKind.String ? Text(value) : value.GetRawText()).Contains(v, StringComparison.Ordinal)):
                found.Add(at);
                break;
        }
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
