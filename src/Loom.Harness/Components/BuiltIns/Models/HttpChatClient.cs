using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.AI;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>Chats with a model behind an OpenAI-compatible address. An answer of a mock has <c>mock</c> among its additional properties.</summary>
internal sealed class HttpChatClient(ModelWire wire) : IChatClient
{
    /// <summary>Name of the mark among the additional properties of an answer.</summary>
    public const string MockMark = "mock";

    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <inheritdoc />
    public async Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var (answer, mock) = await wire.SendAsync("chat/completions", Body(messages, options), cancellationToken).ConfigureAwait(false);
        return Read(answer, mock);
    }

    /// <summary>The whole answer as one piece after the other; the pieces come when the answer is complete.</summary>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var response = await GetResponseAsync(messages, options, cancellationToken).ConfigureAwait(false);
        foreach (var update in response.ToChatResponseUpdates())
        {
            yield return update;
        }
    }

    /// <inheritdoc />
    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null
        : serviceType == typeof(ChatClientMetadata) ? new ChatClientMetadata(wire.Endpoint.Name, wire.Endpoint.Base, wire.Endpoint.Model)
        : serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing: the connection belongs to the system.</summary>
    public void Dispose()
    {
    }

    private ReadOnlyMemory<byte> Body(IEnumerable<ChatMessage> messages, ChatOptions? options)
    {
        var endpoint = wire.Endpoint;
        var buffer = new ArrayBufferWriter<byte>(1024);
        using var json = new Utf8JsonWriter(buffer, s_json);
        json.WriteStartObject();
        if ((options?.ModelId ?? endpoint.Model) is { } model)
        {
            json.WriteString("model"u8, model);
        }

        json.WriteStartArray("messages"u8);
        if (options?.Instructions is { } instructions)
        {
            WriteMessage(json, "system", instructions);
        }

        foreach (var message in messages)
        {
            WriteMessage(json, message.Role.Value, message.Text);
        }

        json.WriteEndArray();
        Write(json, "max_tokens", options?.MaxOutputTokens ?? endpoint.MaxTokens);
        Write(json, "temperature", options?.Temperature ?? endpoint.Temperature);
        Write(json, "top_p", options?.TopP);
        Write(json, "frequency_penalty", options?.FrequencyPenalty);
        Write(json, "presence_penalty", options?.PresencePenalty);
        if (options?.Seed is { } seed)
        {
            json.WriteNumber("seed"u8, seed);
        }

        if (options?.StopSequences is { Count: > 0 } stops)
        {
            json.WriteStartArray("stop"u8);
            foreach (var stop in stops)
            {
                json.WriteStringValue(stop);
            }

            json.WriteEndArray();
        }

        WriteFormat(json, options?.ResponseFormat);
        json.WriteEndObject();
        json.Flush();
        return buffer.WrittenMemory;
    }

    private static void WriteMessage(Utf8JsonWriter json, string role, string text)
    {
        json.WriteStartObject();
        json.WriteString("role"u8, role);
        json.WriteString("content"u8, text);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, string name, float? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, number);
        }
    }

    private static void WriteFormat(Utf8JsonWriter json, ChatResponseFormat? format)
    {
        if (format is not ChatResponseFormatJson wanted)
        {
            return;
        }

        json.WriteStartObject("response_format"u8);
        if (wanted.Schema is { } schema)
        {
            json.WriteString("type"u8, "json_schema"u8);
            json.WriteStartObject("json_schema"u8);
            json.WriteString("name"u8, wanted.SchemaName ?? "answer");
            json.WriteBoolean("strict"u8, true);
            json.WritePropertyName("schema"u8);
            schema.WriteTo(json);
            json.WriteEndObject();
        }
        else
        {
            json.WriteString("type"u8, "json_object"u8);
        }

        json.WriteEndObject();
    }

    private ChatResponse Read(JsonElement answer, bool mock)
    {
        if (!answer.TryGetProperty("choices"u8, out var choices) || choices.ValueKind != JsonValueKind.Array || choices.GetArrayLength() == 0
            || !choices[0].TryGetProperty("message"u8, out var message))
        {
            throw wire.Malformed("there is no choice with a message in it");
        }

        var text = message.TryGetProperty("content"u8, out var content) && content.ValueKind == JsonValueKind.String ? content.GetString()! : "";
        var response = new ChatResponse(new ChatMessage(ChatRole.Assistant, text))
        {
            ModelId = Text(answer, "model"),
            ResponseId = Text(answer, "id"),
            FinishReason = Text(choices[0], "finish_reason") is { } reason ? new ChatFinishReason(reason) : null,
            Usage = UsageOf(answer),
        };
        if (mock)
        {
            response.AdditionalProperties = new AdditionalPropertiesDictionary { [MockMark] = true };
        }

        return response;
    }

    internal static UsageDetails? UsageOf(JsonElement answer) =>
        !answer.TryGetProperty("usage"u8, out var usage) || usage.ValueKind != JsonValueKind.Object
            ? null
            : new UsageDetails { InputTokenCount = Count(usage, "prompt_tokens"), OutputTokenCount = Count(usage, "completion_tokens"), TotalTokenCount = Count(usage, "total_tokens") };

    private static long? Count(JsonElement usage, string name) => usage.TryGetProperty(name, out var count) && count.TryGetInt64(out var value) ? value : null;

    private static string? Text(JsonElement from, string name) =>
        from.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
