using System.Text.Json;

namespace Loom.Cli.Status;

/// <summary>Reads fields that may be absent or null.</summary>
internal static class JsonReading
{
    public static JsonElement? Find(this JsonElement parent, string name) =>
        parent.TryGetProperty(name, out var found) && found.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined) ? found : null;

    public static string? Text(this JsonElement parent, string name) => parent.Find(name)?.GetString();

    public static int? Int(this JsonElement parent, string name) => parent.Find(name)?.GetInt32();

    public static long? Long(this JsonElement parent, string name) => parent.Find(name)?.GetInt64();

    public static bool Flag(this JsonElement parent, string name) => parent.Find(name)?.GetBoolean() ?? false;

    public static DateTimeOffset? Time(this JsonElement parent, string name) => parent.Find(name)?.GetDateTimeOffset();

    public static List<T> Each<T>(this JsonElement parent, string name, Func<JsonElement, T> parse)
        where T : class
    {
        var items = new List<T>();
        if (parent.Find(name) is { } array)
        {
            foreach (var item in array.EnumerateArray())
            {
                items.Add(parse(item));
            }
        }

        return items;
    }
}
