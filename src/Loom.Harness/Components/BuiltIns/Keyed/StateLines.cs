using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>State as lines of JSON: written in pieces, so that a large one never stands in memory twice.</summary>
internal static class StateLines
{
    private const int Piece = 64 << 10;

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };

    /// <summary>Writes one line for each item.</summary>
    public static async ValueTask WriteAsync<T>(Stream into, IEnumerable<T> items, Action<Utf8JsonWriter, T> write, CancellationToken ct)
    {
        var buffer = new ArrayBufferWriter<byte>(Piece * 2);
        await using var json = new Utf8JsonWriter(buffer, s_options);
        foreach (var item in items)
        {
            write(json, item);
            json.Flush();
            json.Reset();
            buffer.Write("\n"u8);
            if (buffer.WrittenCount >= Piece)
            {
                await into.WriteAsync(buffer.WrittenMemory, ct).ConfigureAwait(false);
                buffer.ResetWrittenCount();
            }
        }

        await into.WriteAsync(buffer.WrittenMemory, ct).ConfigureAwait(false);
    }

    /// <summary>Reads the lines again.</summary>
    public static async IAsyncEnumerable<JsonElement> ReadAsync(Stream from, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken ct)
    {
        using var reader = new StreamReader(from, leaveOpen: true);
        while (await reader.ReadLineAsync(ct).ConfigureAwait(false) is { } line)
        {
            yield return JsonElement.Parse(line, Errors.PayloadJson.Around);
        }
    }
}
