using System.Buffers;
using Loom.Core.Telemetry;
using Microsoft.AspNetCore.Http;

namespace Loom.Core.Web;

/// <summary><c>GET /metrics</c>, on a listener and on its metrics port.</summary>
public static class MetricsRoute
{
    /// <summary>Shows pages of metrics, one after the other.</summary>
    public static ApiRoute Of(params IMetricsPage[] pages) => new("GET", "/metrics", Scopes.Metrics, call => WriteAsync(call.Http, pages));

    private static async Task WriteAsync(HttpContext http, IMetricsPage[] pages)
    {
        var text = new ArrayBufferWriter<byte>(16 * 1024);
        foreach (var page in pages)
        {
            await page.WriteAsync(text, http.RequestAborted).ConfigureAwait(false);
        }

        http.Response.ContentType = PrometheusExporter.ContentType;
        http.Response.ContentLength = text.WrittenCount;
        if (HttpMethods.IsGet(http.Request.Method))
        {
            http.Response.BodyWriter.Append(text.WrittenSpan);
        }

        await http.Response.BodyWriter.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }
}
