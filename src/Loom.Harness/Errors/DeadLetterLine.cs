using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;
using System.Text.Json;
using Loom.Harness.Components;

namespace Loom.Harness.Errors;

/// <summary>
/// The form of one line: the record's fields, <c>headers</c>, <c>key</c> where the record shows another, <c>secret_headers</c> and <c>secrets</c> where there are any, <c>payload</c> and, last, <c>crc32c</c> over the bytes before it. A line is JSON, so other programs
/// read it. A line that only says <c>retried</c> takes back the letter it names. Pure.
/// </summary>
internal static class DeadLetterLine
{
    private const int TailLength = 21; // ,"crc32c":"01234567"}

    /// <summary>What a line says: a letter, or that one was retried; neither when it is damaged.</summary>
    internal readonly record struct Content(DeadLetter? Letter, string? Retried, string? Damage);

    /// <summary>The line of a letter with its line feed. There is always one: where a letter cannot be written as it is, its payload says why.</summary>
    public static ArrayBufferWriter<byte> Of(DeadLetter letter)
    {
        try
        {
            return Written(letter);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // A failure that is no letter would be an event that is lost.
            var said = $"this payload could not be written: {e.Message}";
            return Written(letter with { Headers = new Dictionary<string, string>(), SecretHeaders = [], Payload = JsonSerializer.SerializeToElement(said, ErrorJson.Default.String), Secrets = [] });
        }
    }

    private static ArrayBufferWriter<byte> Written(DeadLetter letter)
    {
        var line = new ArrayBufferWriter<byte>(1024);
        Write(letter, line);
        return line;
    }

    /// <summary>Writes a letter with its line feed.</summary>
    public static void Write(DeadLetter letter, ArrayBufferWriter<byte> to)
    {
        var from = to.WrittenCount;
        using (var json = new Utf8JsonWriter(to))
        {
            // The record's own fields first, in its own order, so that a line reads like an error.
            json.WriteStartObject();
            using (var fields = JsonSerializer.SerializeToDocument(letter.Record, ErrorJson.Default.ErrorRecord))
            {
                foreach (var field in fields.RootElement.EnumerateObject())
                {
                    field.WriteTo(json);
                }
            }

            json.WritePropertyName("headers");
            JsonSerializer.Serialize(json, new Dictionary<string, string>(letter.Headers), ErrorJson.Default.DictionaryStringString);
            if (letter.Key is { } key && key != letter.Record.Event.Key)
            {
                json.WriteString("key", key);
            }

            WriteNames(json, "secret_headers", letter.SecretHeaders);
            WriteNames(json, "secrets", letter.Secrets);

            json.WritePropertyName("payload");
            RawJson.Write(json, letter.Payload);
            json.WriteEndObject();
        }

        Seal(from, to);
    }

    private static void WriteNames(Utf8JsonWriter json, string field, IReadOnlyList<string> names)
    {
        if (names.Count == 0)
        {
            return;
        }

        json.WriteStartArray(field);
        foreach (var name in names)
        {
            json.WriteStringValue(name);
        }

        json.WriteEndArray();
    }

    /// <summary>Writes that a letter was sent again, with its line feed.</summary>
    public static void WriteRetried(string errorId, DateTimeOffset time, ArrayBufferWriter<byte> to)
    {
        var from = to.WrittenCount;
        using (var json = new Utf8JsonWriter(to))
        {
            json.WriteStartObject();
            json.WriteString("retried", errorId);
            json.WriteString("time", time);
            json.WriteEndObject();
        }

        Seal(from, to);
    }

    /// <summary>Reads a line without its line feed.</summary>
    /// <param name="line">The bytes.</param>
    /// <param name="whole">False to learn only whether it is one, and which letter it takes back.</param>
    public static Content Read(ReadOnlySpan<byte> line, bool whole = true)
    {
        if (line.Length <= TailLength || !line[^TailLength..].StartsWith(",\"crc32c\":\""u8))
        {
            return new Content(null, null, "it is cut off, or no dead letter");
        }

        var body = line[..^TailLength];
        if (!line[^10..^2].SequenceEqual(Encoding.ASCII.GetBytes(Hex(Crc(body)))))
        {
            return new Content(null, null, "its checksum does not match");
        }

        if (body.StartsWith("{\"retried\":"u8))
        {
            using var mark = JsonDocument.Parse((byte[])[.. body, (byte)'}']);
            return new Content(null, mark.RootElement.GetProperty("retried").GetString(), null);
        }

        return whole ? Letter(line) : default;
    }

    private static Content Letter(ReadOnlySpan<byte> line)
    {
        try
        {
            var record = JsonSerializer.Deserialize(line, ErrorJson.Default.ErrorRecord)!;
            var root = JsonElement.Parse(line, PayloadJson.Around);
            var headers = root.GetProperty("headers").Deserialize(ErrorJson.Default.DictionaryStringString) ?? [];
            var letter = new DeadLetter(record, headers, root.GetProperty("payload")) { Secrets = Names(root, "secrets"), SecretHeaders = Names(root, "secret_headers") };
            return new Content(root.TryGetProperty("key", out var key) ? letter with { Key = key.GetString() } : letter, null, null);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            return new Content(null, null, $"it cannot be read: {e.Message}");
        }
    }

    private static string[] Names(JsonElement root, string field) => root.TryGetProperty(field, out var names) ? [.. names.EnumerateArray().Select(n => n.GetString()!)] : [];

    // Replaces the closing brace by the checksum of everything before it.
    private static void Seal(int from, ArrayBufferWriter<byte> to)
    {
        var body = to.WrittenSpan[from..^1];
        var tail = Encoding.ASCII.GetBytes($",\"crc32c\":\"{Hex(Crc(body))}\"}}\n");
        var brace = to.WrittenCount - 1;
        to.Write(tail.AsSpan(1));
        System.Runtime.InteropServices.MemoryMarshal.AsMemory(to.WrittenMemory).Span[brace] = (byte)',';
    }

    private static string Hex(uint crc) => crc.ToString("x8", CultureInfo.InvariantCulture);

    /// <summary>CRC32C (Castagnoli).</summary>
    public static uint Crc(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        for (; bytes.Length >= sizeof(ulong); bytes = bytes[sizeof(ulong)..])
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        }

        foreach (var b in bytes)
        {
            crc = BitOperations.Crc32C(crc, b);
        }

        return ~crc;
    }
}
