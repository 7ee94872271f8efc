using System.Text.Json;

namespace Loom.Harness.Architecture.Yaml;

/// <summary>JSON as nodes without places, so that a config is bound by the same rules wherever it comes from.</summary>
internal static class YamlFromJson
{
    /// <param name="element">The value.</param>
    /// <param name="origin">What stands in for the file in findings.</param>
    public static YamlNode Read(JsonElement element, string origin) => element.ValueKind switch
    {
        JsonValueKind.Object => new YamlMapping(origin, 0, 0,
            [.. element.EnumerateObject().Select(p => new YamlEntry(new YamlScalar(origin, 0, 0, p.Name, ScalarStyle.Quoted), Read(p.Value, origin)))]),
        JsonValueKind.Array => new YamlSequence(origin, 0, 0, [.. element.EnumerateArray().Select(i => Read(i, origin))]),
        JsonValueKind.String => new YamlScalar(origin, 0, 0, element.GetString()!, ScalarStyle.Quoted),
        JsonValueKind.Undefined => new YamlScalar(origin, 0, 0, "", ScalarStyle.Plain),
        _ => new YamlScalar(origin, 0, 0, element.GetRawText(), ScalarStyle.Plain),
    };
}
