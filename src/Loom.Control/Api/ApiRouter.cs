using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Api;

/// <summary>Sends inference on its fast path, found by plain comparison, and everything else to the table of routes.</summary>
/// <param name="others">All other routes.</param>
/// <param name="gatekeeper">Who may use them.</param>
/// <param name="log">Where unexpected failures are told.</param>
internal sealed partial class ApiRouter(RouteServer others, Gatekeeper gatekeeper, ILogger log)
{
    private const string PostMethod = "POST";

    /// <summary>Serves one request of the API.</summary>
    public Task HandleAsync(ApiContext context)
    {
        var http = context.Http;
        if (InferenceRoutes.Find(http.Request.Path.Value ?? "") is not { } route)
        {
            return others.HandleAsync(http, context.Pass);
        }

        var id = others.Begin(http);
        try
        {
            return Guard(http, context.Pass, id) ?? context.Call.RunAsync(http, route, id, context.Pass.Caller);
        }
        catch (Exception e)
        {
            LogFailed(log, http.Request.Method, http.Request.Path, id, e);
            return http.Response.HasStarted
                ? throw new ResponseCutException()
                : GatewayErrors.WriteAsync(http, new Problem(ProblemCode.Internal, RouteServer.Unexpected), id);
        }
    }

    // Null when the request may go on; else its answer.
    private Task? Guard(HttpContext http, Gatekeeper.Pass pass, string id)
    {
        if (gatekeeper.CheckSource(http.Request) is { } foreign)
        {
            return GatewayErrors.WriteAsync(http, foreign, id);
        }

        // A browser sends no token with this question.
        if (gatekeeper.IsPreflight(http))
        {
            return Gatekeeper.AnswerPreflightAsync(http);
        }

        if (gatekeeper.CheckToken(http, Scopes.Inference, pass) is { } refused)
        {
            return GatewayErrors.WriteAsync(http, refused, id);
        }

        if (http.Request.Method is PostMethod)
        {
            return null;
        }

        http.Response.Headers.Allow = PostMethod;
        var text = $"{http.Request.Method} {http.Request.Path} is not allowed; use {PostMethod}";
        return GatewayErrors.WriteAsync(http, new Problem(ProblemCode.MethodNotAllowed, text), id);
    }

    [LoggerMessage(EventId = 312, Level = LogLevel.Error, Message = "{Method} {Path}, request {RequestId}, failed unexpectedly")]
    private static partial void LogFailed(ILogger logger, string method, string path, string requestId, Exception error);
}
