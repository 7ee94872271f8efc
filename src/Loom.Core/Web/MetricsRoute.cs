using System.Buffers;
using Loom.Core.Telemetry;
using Microsoft.AspNetCore.Http;

namespace Loom.Core.Web;

/// <summary><c>GET /metrics</c>, on the API and on the metrics port.</summary>
public static class MetricsRoute
{
    /// <summary>Shows what an exporter holds.</summary>
    public static ApiRoute Of(PrometheusExporter metrics) => new("GET", "/metrics", Scopes.Metrics, call => WriteAsync(call.Http, metrics));

    private static async Task WriteAsync(HttpContext http, PrometheusExporter metrics)
    {
        var text = new ArrayBufferWriter<byte>(16 * 1024);
        metrics.Write(text);
        http.Response.ContentType = PrometheusExporter.ContentType;
        http.Response.ContentLength = text.WrittenCount;
        if (HttpMethods.IsGet(http.Request.Method))
        {
            http.Response.BodyWriter.Append(text.WrittenSpan);
        }

        await http.Response.BodyWriter.FlushAsync(CancellationToken.None).ConfigureAwait(false);
    }
}
