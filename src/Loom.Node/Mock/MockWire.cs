using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Loom.Node.Mock;

/// <summary>Small JSON answers.</summary>
internal static class MockWire
{
    public static string Quote(string text) => "\"" + JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping) + "\"";

    public static async Task JsonAsync(HttpContext context, int status, string json)
    {
        var bytes = Encoding.UTF8.GetBytes(json);
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        context.Response.ContentLength = bytes.Length;
        await context.Response.BodyWriter.WriteAsync(bytes, context.RequestAborted).ConfigureAwait(false);
    }

    public static Task ErrorAsync(HttpContext context, int status, string code, string message)
    {
        var type = status < 500 ? "invalid_request_error" : "server_error";
        return JsonAsync(context, status, $$"""{"error":{"message":{{Quote(message)}},"type":"{{type}}","param":null,"code":{{Quote(code)}}},"mock":true}""");
    }
}
