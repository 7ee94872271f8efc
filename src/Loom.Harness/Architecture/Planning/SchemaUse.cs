using System.Globalization;
using System.Text.Json;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Schemas;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Whether a JSON Schema can be used, and how.</summary>
internal static class SchemaUse
{
    /// <summary>What is wrong with it and where, as a JSON pointer; null when nothing is.</summary>
    public static (string Pointer, string Message)? Fault(JsonElement schema)
    {
        try
        {
            JsonSchemaValidator.Compile(schema);
            return null;
        }
        catch (SchemaException e)
        {
            return (e.Pointer, e.Message);
        }
    }

    /// <summary>Whether it is checked by code compiled for it, instead of by the library.</summary>
    public static bool IsCompiled(JsonElement schema) => JsonSchemaValidator.Compile(schema).IsCompiled;

    /// <summary>The node a JSON pointer leads to, or the nearest one on the way.</summary>
    public static YamlNode At(YamlNode root, string pointer)
    {
        var node = root;
        foreach (var part in pointer.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            var name = part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            var next = node switch
            {
                YamlMapping map => map.Find(name),
                YamlSequence list when int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < list.Items.Count => list.Items[index],
                _ => null,
            };
            if (next is null)
            {
                break;
            }

            node = next;
        }

        return node;
    }
}
