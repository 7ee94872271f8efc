using System.Buffers;
using System.Buffers.Binary;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>Makes vectors of texts with a model behind an OpenAI-compatible address.</summary>
internal sealed class HttpEmbeddings(ModelWire wire) : IEmbeddingGenerator<string, Embedding<float>>
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <inheritdoc />
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        var texts = values.ToArray();
        var (answer, mock) = await wire.SendAsync("embeddings", Body(texts, options), cancellationToken).ConfigureAwait(false);
        var made = new GeneratedEmbeddings<Embedding<float>>(Read(answer, texts.Length)) { Usage = HttpChatClient.UsageOf(answer) };
        if (mock)
        {
            made.AdditionalProperties = new AdditionalPropertiesDictionary { [HttpChatClient.MockMark] = true };
        }

        return made;
    }

    /// <inheritdoc />
    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(EmbeddingGeneratorMetadata) ? new EmbeddingGeneratorMetadata(wire.Endpoint.Name, wire.Endpoint.Base, wire.Endpoint.Model)
        : serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing: the connection belongs to the system.</summary>
    public void Dispose()
    {
    }

    private ReadOnlyMemory<byte> Body(string[] texts, EmbeddingGenerationOptions? options)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, s_json);
        json.WriteStartObject();
        if ((options?.ModelId ?? wire.Endpoint.Model) is { } model)
        {
            json.WriteString("model"u8, model);
        }

        json.WriteStartArray("input"u8);
        foreach (var text in texts)
        {
            json.WriteStringValue(text);
        }

        json.WriteEndArray();
        if (options?.Dimensions is { } dimensions)
        {
            json.WriteNumber("dimensions"u8, dimensions);
        }

        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    // The answer's entries bear the index of their text; their order is not promised.
    private Embedding<float>[] Read(JsonElement answer, int count)
    {
        if (!answer.TryGetProperty("data"u8, out var data) || data.ValueKind != JsonValueKind.Array || data.GetArrayLength() != count)
        {
            throw wire.Malformed($"it holds no {count} embeddings");
        }

        var made = new Embedding<float>?[count];
        var next = 0;
        foreach (var entry in data.EnumerateArray())
        {
            var index = entry.TryGetProperty("index"u8, out var at) && at.TryGetInt32(out var given) ? given : next;
            next++;
            if (index < 0 || index >= count || made[index] is not null || !entry.TryGetProperty("embedding"u8, out var vector))
            {
                throw wire.Malformed("an embedding is missing or stands there twice");
            }

            made[index] = new Embedding<float>(VectorOf(vector));
        }

        return made!;
    }

    private float[] VectorOf(JsonElement vector)
    {
        if (vector.ValueKind == JsonValueKind.String && vector.TryGetBytesFromBase64(out var bytes))
        {
            var floats = new float[bytes.Length / sizeof(float)];
            for (var i = 0; i < floats.Length; i++)
            {
                floats[i] = BinaryPrimitives.ReadSingleLittleEndian(bytes.AsSpan(i * sizeof(float)));
            }

            return floats;
        }

        return vector.ValueKind == JsonValueKind.Array
            ? [.. vector.EnumerateArray().Select(n => n.ValueKind == JsonValueKind.Number ? n.GetSingle() : throw wire.Malformed("an embedding holds something that is no number"))]
            : throw wire.Malformed("an embedding is no list of numbers");
    }
}
