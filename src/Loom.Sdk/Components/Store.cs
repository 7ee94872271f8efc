using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Loom.Components;

/// <summary>
/// Keyed storage that answers <c>get</c>, <c>put</c> and <c>delete</c> of the components whose <c>request_response</c> ports are bound to its port <c>in</c>, as the built-in <c>store</c> does:
/// <c>{"op": "get", "key": "..."}</c> is answered by <c>{"found": true, "value": ...}</c>. Whoever asks always gets an answer: an error here is an error of the event over there. It ends when all who ask have ended.
/// </summary>
/// <typeparam name="TKey">The key; in a request it is text, or its JSON form.</typeparam>
/// <typeparam name="TValue">The value.</typeparam>
/// <param name="key">How keys are read.</param>
/// <param name="value">How values are read and written.</param>
[Answers]
public abstract class Store<TKey, TValue>(JsonTypeInfo<TKey> key, JsonTypeInfo<TValue> value) : Transformer<JsonElement, JsonElement>
    where TKey : notnull
    where TValue : class
{
    /// <summary>The value of a key; null when there is none.</summary>
    protected abstract ValueTask<TValue?> GetAsync(TKey key, CancellationToken ct);

    /// <summary>Keeps a value under a key, in place of any other.</summary>
    protected abstract ValueTask PutAsync(TKey key, TValue value, CancellationToken ct);

    /// <summary>Forgets a key; nothing happens when there is none.</summary>
    protected abstract ValueTask DeleteAsync(TKey key, CancellationToken ct);

    /// <inheritdoc />
    protected sealed override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        ArgumentNullException.ThrowIfNull(output);
        JsonElement answer;
        try
        {
            answer = await AnswerAsync(e.Data, ct).ConfigureAwait(false);
        }
        catch (Exception error) when (error is ItemException or JsonException or InvalidOperationException)
        {
            var transient = error is ItemException { Class: ErrorClass.Transient };
            answer = Write(json =>
            {
                json.WriteString("error"u8, error.Message);
                json.WriteBoolean("transient"u8, transient);
            });
        }

        await output.SendAsync(e.With(answer), ct).ConfigureAwait(false);
    }

    private async ValueTask<JsonElement> AnswerAsync(JsonElement request, CancellationToken ct)
    {
        if (request.ValueKind != JsonValueKind.Object || !request.TryGetProperty("op"u8, out var op) || !request.TryGetProperty("key"u8, out var named))
        {
            throw new ItemException("bad_request", "a request is {\"op\": \"get\", \"key\": \"...\"}");
        }

        var of = named.Deserialize(key) ?? throw new ItemException("bad_request", "the key is null");
        TValue? found = null;
        switch (op.ValueEquals("get"u8) ? "get" : op.ValueEquals("put"u8) ? "put" : op.ValueEquals("delete"u8) ? "delete" : "")
        {
            case "get":
                found = await GetAsync(of, ct).ConfigureAwait(false);
                break;
            case "put" when request.TryGetProperty("value"u8, out var given) && given.Deserialize(value) is { } kept:
                await PutAsync(of, kept, ct).ConfigureAwait(false);
                break;
            case "put":
                throw new ItemException("bad_request", "put needs a value");
            case "delete":
                await DeleteAsync(of, ct).ConfigureAwait(false);
                break;
            default:
                throw new ItemException("bad_request", $"there is no op {op.GetRawText()} (get, put, delete)");
        }

        return Write(json =>
        {
            json.WriteBoolean("found"u8, found is not null);
            json.WritePropertyName("value"u8);
            if (found is null)
            {
                json.WriteNullValue();
            }
            else
            {
                JsonSerializer.Serialize(json, found, value);
            }
        });
    }

    private static JsonElement Write(Action<Utf8JsonWriter> content)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            content(json);
            json.WriteEndObject();
        }

        return JsonElement.Parse(bytes.ToArray());
    }
}
