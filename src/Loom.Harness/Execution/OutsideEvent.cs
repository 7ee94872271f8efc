using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Loom.Components;
using Loom.Harness.Components;

namespace Loom.Harness.Execution;

/// <summary>An event from outside the streams as a component takes it.</summary>
internal static class OutsideEvent
{
    /// <summary>Reads the payload as the component's own type; false when it cannot be.</summary>
    public static bool TryRead<T>(Event<JsonElement> e, out Event<T> read)
    {
        if (typeof(T) == typeof(JsonElement))
        {
            read = (Event<T>)(object)e;
            return true;
        }

        try
        {
            read = JsonConversion.TypeInfo(typeof(T)) is JsonTypeInfo<T> type && e.Data.Deserialize(type) is { } data ? e.With(data) : default;
            return read.Data is not null;
        }
        catch (Exception error) when (error is not OutOfMemoryException)
        {
            // Whatever the type throws: what comes from outside is refused, and the component goes on.
            read = default;
            return false;
        }
    }
}
