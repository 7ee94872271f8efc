using System.Buffers;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>Stands in for a provider of type <c>mock</c>: no model, no network, the same answer for the same question, and the mark of a mock on everything.</summary>
internal sealed class MockModel : IChatClient, IEmbeddingGenerator<string, Embedding<float>>
{
    private const int Dimensions = 16;
    private const int DeepestSample = 16;

    /// <inheritdoc />
    public Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var asked = messages.LastOrDefault(m => m.Role == ChatRole.User)?.Text ?? "";
        var text = options?.ResponseFormat switch
        {
            ChatResponseFormatJson { Schema: { } schema } => Sample(schema),
            ChatResponseFormatJson => "{}",
            _ => "[MOCK] " + (asked.Length > 80 ? asked[..80] : asked),
        };
        return Task.FromResult(new ChatResponse(new ChatMessage(ChatRole.Assistant, text))
        {
            ModelId = options?.ModelId ?? "mock",
            FinishReason = ChatFinishReason.Stop,
            Usage = new UsageDetails { InputTokenCount = asked.Length / 4, OutputTokenCount = text.Length / 4, TotalTokenCount = (asked.Length / 4) + (text.Length / 4) },
            AdditionalProperties = new AdditionalPropertiesDictionary { [HttpChatClient.MockMark] = true },
        });
    }

    /// <inheritdoc />
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var response = await GetResponseAsync(messages, options, cancellationToken).ConfigureAwait(false);
        foreach (var update in response.ToChatResponseUpdates())
        {
            yield return update;
        }
    }

    /// <inheritdoc />
    public Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(
        IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default) =>
        Task.FromResult(new GeneratedEmbeddings<Embedding<float>>(values.Select(v => new Embedding<float>(VectorOf(v, options?.Dimensions ?? Dimensions))))
        {
            AdditionalProperties = new AdditionalPropertiesDictionary { [HttpChatClient.MockMark] = true },
        });

    /// <inheritdoc />
    public object? GetService(Type serviceType, object? serviceKey = null) => serviceKey is null && serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing.</summary>
    public void Dispose()
    {
    }

    // The same text gives the same vector of length 1.
    private static float[] VectorOf(string text, int dimensions)
    {
        var random = new Random((int)Fnv(text));
        var vector = new float[dimensions];
        var sum = 0d;
        for (var i = 0; i < dimensions; i++)
        {
            vector[i] = (float)((random.NextDouble() * 2) - 1);
            sum += vector[i] * vector[i];
        }

        for (var i = 0; i < dimensions; i++)
        {
            vector[i] /= (float)Math.Sqrt(sum);
        }

        return vector;
    }

    private static uint Fnv(string text)
    {
        var hash = 2166136261;
        foreach (var c in text)
        {
            hash = (hash ^ c) * 16777619;
        }

        return hash;
    }

    // The smallest value a schema allows, for the keywords most schemas are made of.
    private static string Sample(JsonElement schema)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(buffer);
        Write(json, schema, DeepestSample);
        json.Flush();
        return System.Text.Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void Write(Utf8JsonWriter json, JsonElement schema, int depth)
    {
        if (schema.ValueKind != JsonValueKind.Object || depth == 0)
        {
            json.WriteNullValue();
        }
        else if (schema.TryGetProperty("const"u8, out var only))
        {
            only.WriteTo(json);
        }
        else if (schema.TryGetProperty("enum"u8, out var choices) && choices.GetArrayLength() > 0)
        {
            choices[0].WriteTo(json);
        }
        else
        {
            WriteType(json, schema, depth);
        }
    }

    private static void WriteType(Utf8JsonWriter json, JsonElement schema, int depth)
    {
        var type = schema.TryGetProperty("type"u8, out var named) ? named.ValueKind == JsonValueKind.Array ? named[0].GetString() : named.GetString() : "object";
        switch (type)
        {
            case "string":
                json.WriteStringValue("mock".PadRight(Least(schema, "minLength"), '-'));
                break;
            case "integer" or "number":
                json.WriteNumberValue(Least(schema, "minimum"));
                break;
            case "boolean":
                json.WriteBooleanValue(false);
                break;
            case "array":
                json.WriteStartArray();
                for (var i = Least(schema, "minItems"); i > 0 && schema.TryGetProperty("items"u8, out var items); i--)
                {
                    Write(json, items, depth - 1);
                }

                json.WriteEndArray();
                break;
            case "object":
                WriteObject(json, schema, depth);
                break;
            default:
                json.WriteNullValue();
                break;
        }
    }

    private static void WriteObject(Utf8JsonWriter json, JsonElement schema, int depth)
    {
        json.WriteStartObject();
        if (schema.TryGetProperty("properties"u8, out var properties) && properties.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in properties.EnumerateObject())
            {
                json.WritePropertyName(property.Name);
                Write(json, property.Value, depth - 1);
            }
        }

        json.WriteEndObject();
    }

    private static int Least(JsonElement schema, string keyword) =>
        schema.TryGetProperty(keyword, out var least) && least.ValueKind == JsonValueKind.Number && least.TryGetDouble(out var value) ? (int)Math.Clamp(Math.Ceiling(value), -1e6, 1e6) : 0;
}
