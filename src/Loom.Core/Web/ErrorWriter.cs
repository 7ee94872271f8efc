using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Loom.Core.Web;

/// <summary>Writes every error Loom's listeners send, in the shape of the API it belongs to.</summary>
public static class ErrorWriter
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Answers with an error. The response must not have started.</summary>
    public static async Task WriteAsync(HttpContext http, Problem problem, string requestId)
    {
        var response = http.Response;
        var headers = response.Headers;
        response.StatusCode = problem.HttpStatus;
        headers.ContentType = "application/json";
        if (problem.Backoff is { } backoff)
        {
            headers.RetryAfter = backoff.Seconds.ToString(CultureInfo.InvariantCulture);
            headers["X-Backoff-Ms"] = backoff.Milliseconds.ToString(CultureInfo.InvariantCulture);
        }

        if (!problem.Row.Retriable)
        {
            headers["x-should-retry"] = "false";
        }

        if (problem.HttpStatus == StatusCodes.Status401Unauthorized)
        {
            headers.WWWAuthenticate = "Bearer";
        }

        var body = Body(problem, requestId, openAi: !IsManagement(http.Request.Path));
        headers.ContentLength = body.WrittenCount;
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            response.BodyWriter.Append(body.WrittenSpan);
        }

        await response.BodyWriter.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>The error as the last event of a stream.</summary>
    public static byte[] AsEvent(Problem problem, string requestId)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        buffer.Write("data: "u8);
        using (var json = new Utf8JsonWriter(buffer, s_json))
        {
            WriteOpenAi(json, problem, requestId);
        }

        buffer.Write("\n\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    private static bool IsManagement(PathString path) =>
        path.StartsWithSegments("/v2", StringComparison.Ordinal) || path.StartsWithSegments("/pools", StringComparison.Ordinal);

    /// <summary>The error's JSON.</summary>
    public static ArrayBufferWriter<byte> Body(Problem problem, string requestId, bool openAi)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(buffer, s_json);
        if (openAi)
        {
            WriteOpenAi(json, problem, requestId);
        }
        else
        {
            WriteTaskError(json, problem, requestId);
        }

        return buffer;
    }

    private static void WriteOpenAi(Utf8JsonWriter json, Problem problem, string requestId)
    {
        json.WriteStartObject();
        json.WriteStartObject("error"u8);
        json.WriteString("message"u8, problem.Message);
        json.WriteString("type"u8, problem.Row.OpenAiType);
        json.WriteString("param"u8, problem.Param);
        json.WriteString("code"u8, problem.Row.OpenAiCode);
        json.WriteString("loom_code"u8, problem.Row.Name);
        if (problem.SubCode is { } subCode)
        {
            json.WriteNumber("sub_code"u8, subCode);
        }

        WriteRetry(json, problem);
        json.WriteString("request_id"u8, requestId);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteTaskError(Utf8JsonWriter json, Problem problem, string requestId)
    {
        json.WriteStartObject();
        json.WriteString("code"u8, problem.Row.Name);
        json.WriteString("message"u8, problem.Message);
        json.WriteString("engine"u8, problem.Engine);
        WriteRetry(json, problem);
        json.WriteString("policy_label"u8, problem.PolicyLabel);
        if (problem.SubCode is { } subCode)
        {
            json.WriteNumber("sub_code"u8, subCode);
        }
        else
        {
            json.WriteNull("sub_code"u8);
        }

        json.WriteString("correlation_id"u8, requestId);
        json.WriteEndObject();
    }

    private static void WriteRetry(Utf8JsonWriter json, Problem problem)
    {
        json.WriteBoolean("retriable"u8, problem.Row.Retriable);
        if (problem.Backoff is { } backoff)
        {
            json.WriteNumber("retry_after_ms"u8, backoff.Milliseconds);
        }
        else
        {
            json.WriteNull("retry_after_ms"u8);
        }
    }
}

/// <summary>
/// Ends a response whose headers are out without its proper end, so that the client sees a failure. Thrown through the web server, which then closes
/// the connection after what was flushed has been sent; aborting the connection instead could lose the last event.
/// </summary>
public sealed class ResponseCutException() : Exception("the response was cut after a late failure");
