using System.Text.Json;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Open windows as lines of a checkpoint: the watermark, keys, windows.</summary>
internal static class WindowState
{
    public static async ValueTask WriteAsync(Stream into, FrozenWindows frozen, long watermark, CancellationToken ct)
    {
        await StateLines.WriteAsync(into, [watermark], static (json, w) => json.WriteNumberValue(w), ct).ConfigureAwait(false);
        await StateLines.WriteAsync(into, frozen.Keys, static (json, k) =>
        {
            json.WriteStartArray();
            json.WriteStringValue(k.Key);
            json.WriteBooleanValue(k.IsText);
            json.WriteNumberValue(k.Begun);
            json.WriteEndArray();
        }, ct).ConfigureAwait(false);
        await StateLines.WriteAsync(into, frozen.Windows, Write, ct).ConfigureAwait(false);
    }

    /// <summary>Fills a table again.</summary>
    /// <returns>The watermark.</returns>
    /// <exception cref="InvalidDataException">The state holds other aggregates than the config asks for.</exception>
    public static async ValueTask<long> ReadAsync(Stream from, WindowTable table, IReadOnlyList<(string Name, AggregateOp Op)> aggregates, CancellationToken ct)
    {
        var watermark = long.MinValue;
        await foreach (var line in StateLines.ReadAsync(from, ct).ConfigureAwait(false))
        {
            if (line.ValueKind == JsonValueKind.Number)
            {
                watermark = line.GetInt64();
            }
            else if (line.ValueKind == JsonValueKind.Array)
            {
                table.RestoreKey(line[0].GetString()!, line[1].GetBoolean(), line[2].GetInt64());
            }
            else
            {
                table.Restore(Read(line, aggregates));
            }
        }

        return watermark;
    }

    private static void Write(Utf8JsonWriter json, Window window)
    {
        json.WriteStartObject();
        json.WriteString("key"u8, window.Key);
        json.WriteNumber("serial"u8, window.Serial);
        json.WriteNumber("number"u8, window.Number);
        json.WriteNumber("start"u8, window.Start);
        json.WriteNumber("end"u8, window.End);
        json.WriteNumber("events"u8, window.Events);
        json.WriteBoolean("mock"u8, window.Mock);
        json.WriteStartArray("aggregates"u8);
        foreach (ref readonly var aggregate in window.Aggregates.AsSpan())
        {
            aggregate.Save(json);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static Window Read(JsonElement line, IReadOnlyList<(string Name, AggregateOp Op)> aggregates)
    {
        var saved = line.GetProperty("aggregates"u8);
        if (saved.GetArrayLength() != aggregates.Count)
        {
            throw new InvalidDataException($"the checkpoint holds windows of {saved.GetArrayLength()} aggregates and the config asks for {aggregates.Count}; start with --fresh");
        }

        return new Window
        {
            Key = line.GetProperty("key"u8).GetString()!,
            Serial = line.GetProperty("serial"u8).GetInt64(),
            Number = line.GetProperty("number"u8).GetInt64(),
            Start = line.GetProperty("start"u8).GetInt64(),
            End = line.GetProperty("end"u8).GetInt64(),
            Events = line.GetProperty("events"u8).GetInt64(),
            Mock = line.GetProperty("mock"u8).GetBoolean(),
            Aggregates = [.. saved.EnumerateArray().Select((a, i) => Aggregate.Load(aggregates[i].Op, a))],
        };
    }
}
