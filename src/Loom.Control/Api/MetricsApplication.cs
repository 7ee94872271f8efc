using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Loom.Control.Api;

/// <summary>The metrics port: <c>/metrics</c> and nothing else, with the same guards as on the API.</summary>
internal sealed class MetricsApplication(ApiRouter router) : IHttpApplication<HttpContext>
{
    public HttpContext CreateContext(IFeatureCollection contextFeatures) => new DefaultHttpContext(contextFeatures);

    public Task ProcessRequestAsync(HttpContext context) => router.HandleMetricsAsync(context);

    public void DisposeContext(HttpContext context, Exception? exception)
    {
    }
}
