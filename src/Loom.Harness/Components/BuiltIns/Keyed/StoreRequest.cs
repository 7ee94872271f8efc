using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Transform;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>What goes to a store and comes back: <c>{"op", "key", "value"}</c>, <c>{"found", "value"}</c> or <c>{"error", "transient"}</c>.</summary>
internal static class StoreRequest
{
    public static JsonElement Write(StoreOp op, string key, JsonElement value)
    {
        var payload = Payloads.Writer;
        var json = payload.Begin();
        json.WriteString("op"u8, op switch { StoreOp.Get => "get"u8, StoreOp.Put => "put"u8, _ => "delete"u8 });
        json.WriteString("key"u8, key);
        if (op == StoreOp.Put)
        {
            json.WritePropertyName("value"u8);
            value.WriteTo(json);
        }

        return payload.End();
    }

    /// <exception cref="ItemException">It is no request: <c>bad_request</c>.</exception>
    public static (StoreOp Op, string Key, JsonElement Value) Read(JsonElement request)
    {
        if (request.ValueKind != JsonValueKind.Object || !request.TryGetProperty("op"u8, out var op) || op.ValueKind != JsonValueKind.String
            || !request.TryGetProperty("key"u8, out var key) || key.ValueKind != JsonValueKind.String)
        {
            throw Bad("a request is {\"op\": \"get\", \"key\": \"...\"}");
        }

        return op.GetString() switch
        {
            "get" => (StoreOp.Get, key.GetString()!, default),
            "put" => request.TryGetProperty("value"u8, out var value) ? (StoreOp.Put, key.GetString()!, value) : throw Bad("put needs a value"),
            "delete" => (StoreOp.Delete, key.GetString()!, default),
            var other => throw Bad($"there is no op \"{other}\" (get, put, delete)"),
        };
    }

    public static JsonElement Answer(JsonElement? found)
    {
        var payload = Payloads.Writer;
        var json = payload.Begin();
        json.WriteBoolean("found"u8, found is not null);
        json.WritePropertyName("value"u8);
        if (found is { } value)
        {
            value.WriteTo(json);
        }
        else
        {
            json.WriteNullValue();
        }

        return payload.End();
    }

    public static JsonElement Error(string message, bool transient)
    {
        var payload = Payloads.Writer;
        var json = payload.Begin();
        json.WriteString("error"u8, message);
        json.WriteBoolean("transient"u8, transient);
        return payload.End();
    }

    private static ItemException Bad(string message) => new("bad_request", message);
}
