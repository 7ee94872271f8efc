using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Waiting events as lines of a checkpoint.</summary>
internal static class JoinState
{
    public static void Write(Utf8JsonWriter json, string side, (Waiting Waiting, bool Matched) entry)
    {
        var e = entry.Waiting.Event;
        json.WriteStartObject();
        json.WriteString("side"u8, side);
        json.WriteString("join_key"u8, entry.Waiting.Key);
        json.WriteNumber("ticks"u8, entry.Waiting.Ticks);
        json.WriteBoolean("matched"u8, entry.Matched);
        json.WriteString("id"u8, e.Id.ToString());
        json.WriteString("key"u8, e.Key);
        json.WriteNumber("time"u8, e.Time.UtcTicks);
        json.WriteBoolean("mock"u8, e.Mock);
        json.WriteStartObject("headers"u8);
        foreach (var (name, value) in e.Headers)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        json.WritePropertyName("data"u8);
        e.Data.WriteTo(json);
        json.WriteEndObject();
    }

    public static Waiting Read(JsonElement line)
    {
        var e = new Event<JsonElement>(
            EventId.Parse(line.GetProperty("id"u8).GetString()!), line.GetProperty("data"u8).Clone(), line.GetProperty("key"u8).GetString(),
            new DateTimeOffset(line.GetProperty("time"u8).GetInt64(), TimeSpan.Zero), line.GetProperty("mock"u8).GetBoolean());
        foreach (var header in line.GetProperty("headers"u8).EnumerateObject())
        {
            e = e.WithHeader(header.Name, header.Value.GetString()!);
        }

        return new Waiting(line.GetProperty("join_key"u8).GetString()!, e, line.GetProperty("ticks"u8).GetInt64()) { Matched = line.GetProperty("matched"u8).GetBoolean() };
    }
}
