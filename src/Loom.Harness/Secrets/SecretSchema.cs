using System.Text.Json;

namespace Loom.Harness.Secrets;

/// <summary>
/// Where a JSON Schema says <c>x-secret: true</c>: on a field, behind a reference, in one of several alternatives, for every field that is not named. Schemas may refer to themselves, so
/// this is a graph. Immutable once made.
/// </summary>
internal sealed class SecretSchema
{
    private readonly Dictionary<string, SecretSchema> _properties = new(StringComparer.Ordinal);

    // Schemas of fields whose names are not known before, of the items of lists, and those that hold beside this one.
    private readonly List<SecretSchema> _anyProperty = [];
    private readonly List<SecretSchema> _items = [];
    private readonly List<SecretSchema> _beside = [];
    private bool _isSecret;

    /// <summary>Null where nothing in it is secret.</summary>
    public static SecretSchema? Of(JsonElement schema)
    {
        var making = new Making(schema);
        var made = making.Make(schema);
        return making.Found ? made : null;
    }

    /// <summary>Adds the JSON Pointers of all secret values of a payload.</summary>
    public static void Find(IReadOnlyCollection<SecretSchema> schemas, JsonElement value, string at, ISet<string> found)
    {
        var all = new HashSet<SecretSchema>();
        foreach (var schema in schemas)
        {
            schema.AddTo(all);
        }

        if (all.Any(s => s._isSecret))
        {
            found.Add(at);
        }
        else if (all.Count > 0 && value.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in value.EnumerateObject())
            {
                SecretSchema[] inner = [.. all.SelectMany(s => s._anyProperty.Concat(s._properties.TryGetValue(property.Name, out var own) ? [own] : []))];
                Find(inner, property.Value, SecretFields.Below(at, property.Name), found);
            }
        }
        else if (all.Count > 0 && value.ValueKind == JsonValueKind.Array)
        {
            SecretSchema[] inner = [.. all.SelectMany(s => s._items)];
            var index = 0;
            foreach (var item in value.EnumerateArray())
            {
                Find(inner, item, $"{at}/{index++}", found);
            }
        }
    }

    private void AddTo(HashSet<SecretSchema> all)
    {
        if (all.Add(this))
        {
            _beside.ForEach(b => b.AddTo(all));
        }
    }

    private sealed class Making(JsonElement root)
    {
        private readonly Dictionary<string, SecretSchema> _referred = new(StringComparer.Ordinal);

        public bool Found { get; private set; }

        public SecretSchema Make(JsonElement schema) => Fill(new SecretSchema(), schema);

        private SecretSchema Fill(SecretSchema made, JsonElement schema)
        {
            if (schema.ValueKind != JsonValueKind.Object)
            {
                return made;
            }

            foreach (var keyword in schema.EnumerateObject())
            {
                Add(made, keyword.Name, keyword.Value);
            }

            return made;
        }

        private void Add(SecretSchema made, string keyword, JsonElement value)
        {
            switch (keyword, value.ValueKind)
            {
                case ("x-secret", JsonValueKind.True):
                    made._isSecret = Found = true;
                    break;
                case ("properties", JsonValueKind.Object):
                    foreach (var property in value.EnumerateObject())
                    {
                        made._properties[property.Name] = Make(property.Value);
                    }

                    break;
                case ("patternProperties", JsonValueKind.Object):
                    made._anyProperty.AddRange(value.EnumerateObject().Select(p => Make(p.Value)));
                    break;
                case ("additionalProperties", JsonValueKind.Object):
                    made._anyProperty.Add(Make(value));
                    break;
                case ("items" or "additionalItems", JsonValueKind.Object):
                    made._items.Add(Make(value));
                    break;
                case ("items", JsonValueKind.Array):
                    made._items.AddRange(value.EnumerateArray().Select(Make));
                    break;
                case ("allOf" or "anyOf" or "oneOf", JsonValueKind.Array):
                    made._beside.AddRange(value.EnumerateArray().Select(Make));
                    break;
                case ("$ref", JsonValueKind.String):
                    made._beside.Add(Referred(value.GetString()!));
                    break;
            }
        }

        private SecretSchema Referred(string pointer)
        {
            if (_referred.TryGetValue(pointer, out var known))
            {
                return known;
            }

            var made = _referred[pointer] = new SecretSchema();
            var at = root;
            foreach (var part in pointer.TrimStart('#').Split('/', StringSplitOptions.RemoveEmptyEntries).Select(p => Uri.UnescapeDataString(p).Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal)))
            {
                if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(part, out at))
                {
                    return made;
                }
            }

            return Fill(made, at);
        }
    }
}
