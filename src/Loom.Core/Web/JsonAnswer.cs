using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace Loom.Core.Web;

/// <summary>Writes small JSON answers.</summary>
public static class JsonAnswer
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Answers with what <paramref name="write"/> writes.</summary>
    public static async Task WriteAsync<TState>(HttpContext http, int status, TState state, Action<Utf8JsonWriter, TState> write)
    {
        var body = Build(state, write);
        http.Response.StatusCode = status;
        http.Response.Headers.ContentType = "application/json";
        http.Response.Headers.ContentLength = body.WrittenCount;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            http.Response.BodyWriter.Append(body.WrittenSpan);
        }

        await http.Response.BodyWriter.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>A value in the same spelling, for what is no answer of its own: an event of a stream.</summary>
    public static byte[] BytesOf<T>(T value, JsonTypeInfo<T> type) =>
        Build((value, type), static (json, state) => JsonSerializer.Serialize(json, state.value, state.type)).WrittenSpan.ToArray();

    private static ArrayBufferWriter<byte> Build<TState>(TState state, Action<Utf8JsonWriter, TState> write)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer, s_options);
        write(json, state);
        return buffer;
    }
}
