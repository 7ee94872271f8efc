using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using Loom.Control.Catalog;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

/// <summary>
/// Writes errors of inference routes in the shape the route's own clients read. Anthropic's tell kinds of errors by <c>error.type</c> and streams' by an event
/// of the name <c>error</c>; those of the responses route want a typed event.
/// </summary>
internal static class GatewayErrors
{
    private static readonly JsonWriterOptions s_json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Answers with an error. The response must not have started.</summary>
    public static Task WriteAsync(HttpContext http, Problem problem, string requestId)
    {
        if (InferenceRoutes.Find(http.Request.Path.Value ?? "") is not { IsAnthropic: true })
        {
            return ErrorWriter.WriteAsync(http, problem, requestId);
        }

        var response = http.Response;
        response.StatusCode = problem.HttpStatus;
        response.Headers.ContentType = "application/json";
        if (problem.Backoff is { } backoff)
        {
            response.Headers.RetryAfter = backoff.Seconds.ToString(CultureInfo.InvariantCulture);
            response.Headers["X-Backoff-Ms"] = backoff.Milliseconds.ToString(CultureInfo.InvariantCulture);
        }

        if (!problem.Row.Retriable)
        {
            response.Headers["x-should-retry"] = "false";
        }

        if (problem.HttpStatus == StatusCodes.Status401Unauthorized)
        {
            response.Headers.WWWAuthenticate = "Bearer";
        }

        var body = new ArrayBufferWriter<byte>(512);
        WriteAnthropic(body, problem, requestId);
        response.Headers.ContentLength = body.WrittenCount;
        response.BodyWriter.Append(body.WrittenSpan);
        return response.BodyWriter.FlushAsync(CancellationToken.None).AsTask();
    }

    /// <summary>The error as the last event of a stream.</summary>
    public static byte[] AsEvent(Problem problem, string requestId, InferenceRoute route)
    {
        if (!route.IsAnthropic && route != InferenceRoute.Responses)
        {
            return ErrorWriter.AsEvent(problem, requestId);
        }

        var buffer = new ArrayBufferWriter<byte>(512);
        buffer.Write("event: error\ndata: "u8);
        if (route.IsAnthropic)
        {
            WriteAnthropic(buffer, problem, requestId);
        }
        else
        {
            using var json = new Utf8JsonWriter(buffer, s_json);
            json.WriteStartObject();
            json.WriteString("type"u8, "error"u8);
            json.WriteString("code"u8, problem.Row.OpenAiCode);
            json.WriteString("message"u8, problem.Message);
            json.WriteString("param"u8, problem.Param);
            WriteOurs(json, problem, requestId);
            json.WriteEndObject();
        }

        buffer.Write("\n\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteAnthropic(ArrayBufferWriter<byte> buffer, Problem problem, string requestId)
    {
        using var json = new Utf8JsonWriter(buffer, s_json);
        json.WriteStartObject();
        json.WriteString("type"u8, "error"u8);
        json.WriteStartObject("error"u8);
        json.WriteString("type"u8, KindOf(problem));
        json.WriteString("message"u8, problem.Message);
        json.WriteString("param"u8, problem.Param);
        json.WriteString("code"u8, problem.Row.OpenAiCode);
        WriteOurs(json, problem, requestId);
        json.WriteEndObject();
        json.WriteString("request_id"u8, requestId);
        json.WriteEndObject();
    }

    private static void WriteOurs(Utf8JsonWriter json, Problem problem, string requestId)
    {
        json.WriteString("loom_code"u8, problem.Row.Name);
        if (problem.SubCode is { } subCode)
        {
            json.WriteNumber("sub_code"u8, subCode);
        }

        json.WriteBoolean("retriable"u8, problem.Row.Retriable);
        if (problem.Backoff is { } backoff)
        {
            json.WriteNumber("retry_after_ms"u8, backoff.Milliseconds);
        }
        else
        {
            json.WriteNull("retry_after_ms"u8);
        }

        json.WriteString("request_id"u8, requestId);
    }

    private static string KindOf(Problem problem) => problem.HttpStatus switch
    {
        StatusCodes.Status401Unauthorized => "authentication_error",
        StatusCodes.Status403Forbidden => "permission_error",
        StatusCodes.Status404NotFound => "not_found_error",
        StatusCodes.Status413PayloadTooLarge => "request_too_large",
        StatusCodes.Status429TooManyRequests => "rate_limit_error",
        StatusCodes.Status503ServiceUnavailable => "overloaded_error",
        StatusCodes.Status504GatewayTimeout when problem.Code != ProblemCode.DeadlineUnmet => "timeout_error",
        < StatusCodes.Status500InternalServerError => "invalid_request_error",
        _ => "api_error",
    };
}
