using System.Globalization;
using System.Text.Json;

namespace Loom.Harness.Secrets;

/// <summary>
/// Where a JSON Schema says <c>x-secret: true</c>: on a field, behind a reference, in one of several alternatives, for every field that is not named. Schemas may refer to themselves, so
/// this is a graph. Immutable once made.
/// </summary>
internal sealed class SecretSchema
{
    private readonly Dictionary<string, SecretSchema> _properties = new(StringComparer.Ordinal);

    // Schemas of fields by a pattern of their names, of fields that are not named, of the items of lists, and those that hold beside this one.
    private readonly List<SecretSchema> _matching = [];
    private readonly List<SecretSchema> _others = [];
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
        var all = Beside(schemas);
        if (all.Any(s => s._isSecret))
        {
            found.Add(at);
        }
        else if (all.Count > 0 && value.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in value.EnumerateObject())
            {
                Find([.. all.SelectMany(s => s.Of(property.Name))], property.Value, SecretFields.Below(at, property.Name), found);
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

    /// <summary>Whether a place is secret, lies within what is, or may hold something that is.</summary>
    /// <param name="schemas">Of the payload.</param>
    /// <param name="path">The way to the place; null: a member of a list.</param>
    public static bool Reaches(IReadOnlyCollection<SecretSchema> schemas, IEnumerable<string?> path)
    {
        var all = Beside(schemas);
        foreach (var step in path)
        {
            if (all.Any(s => s._isSecret))
            {
                return true;
            }

            all = Beside([.. all.SelectMany(s => step is null ? s._items : s.Of(step))]);
        }

        var seen = new HashSet<SecretSchema>();
        var open = new Stack<SecretSchema>(all);
        while (open.TryPop(out var next))
        {
            if (seen.Add(next))
            {
                foreach (var inner in next._beside.Concat(next._items).Concat(next._properties.Values).Concat(next._others).Concat(next._matching))
                {
                    open.Push(inner);
                }
            }
        }

        return seen.Any(s => s._isSecret);
    }

    private IEnumerable<SecretSchema> Of(string name) =>
        _properties.TryGetValue(name, out var own) ? _matching.Append(own) : _matching.Concat(_others);

    private static HashSet<SecretSchema> Beside(IEnumerable<SecretSchema> schemas)
    {
        var all = new HashSet<SecretSchema>();
        foreach (var schema in schemas)
        {
            schema.AddTo(all);
        }

        return all;
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
                    made._matching.AddRange(value.EnumerateObject().Select(p => Make(p.Value)));
                    break;
                case ("additionalProperties", JsonValueKind.Object):
                    made._others.Add(Make(value));
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
                if (at.ValueKind == JsonValueKind.Array && int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < at.GetArrayLength())
                {
                    at = at[index];
                }
                else if (at.ValueKind != JsonValueKind.Object || !at.TryGetProperty(part, out at))
                {
                    return made;
                }
            }

            return Fill(made, at);
        }
    }
}
