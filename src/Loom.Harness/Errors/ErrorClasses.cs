using System.Net;
using Loom.Components;

namespace Loom.Harness.Errors;

/// <summary>What an exception means for the next attempt.</summary>
internal static class ErrorClasses
{
    public static ErrorClass Of(Exception error) => error switch
    {
        ItemException item => item.Class,
        HttpRequestException { StatusCode: HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound } => ErrorClass.Configuration,
        HttpRequestException { StatusCode: HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests } => ErrorClass.Transient,
        HttpRequestException { StatusCode: >= HttpStatusCode.BadRequest and < HttpStatusCode.InternalServerError } => ErrorClass.Permanent,
        HttpRequestException or TimeoutException or IOException => ErrorClass.Transient,
        _ => ErrorClass.Permanent,
    };

    /// <summary>The code an error record carries.</summary>
    public static string CodeOf(Exception error) => error switch
    {
        ItemException item => item.Code,
        TimeoutException => "timeout",
        HttpRequestException => "http_error",
        IOException => "io_error",
        _ => "exception",
    };
}
