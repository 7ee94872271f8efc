using System.Buffers;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Core.Telemetry;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Api;

/// <summary>Finds the route of a request by plain comparison, checks who asks, and hands over.</summary>
internal sealed partial class ApiRouter(
    Gatekeeper gatekeeper, ModelRoutes models, HealthRoutes health, MetaRoutes meta, PrometheusExporter metrics, ILogger log)
{
    private const string ModelPrefix = "/v1/models/";
    private const string ReadMethods = "GET, HEAD";
    private const string PostMethod = "POST";

    /// <summary>What a path leads to.</summary>
    internal enum Target
    {
        Unknown,
        UnknownInference,
        UnknownTask,
        Chat,
        Completions,
        Embeddings,
        Models,
        Model,
        Live,
        Ready,
        Detail,
        Version,
        Capabilities,
        Metrics,
    }

    /// <summary>Serves one request of the API.</summary>
    public Task HandleAsync(ApiContext context)
    {
        var http = context.Http;
        var id = "";
        try
        {
            var target = Find(http.Request.Path.Value ?? "");
            return Guard(http, target, context.Pass, out id) ?? (IsInference(target) ? InferAsync(context, target, id) : WatchedAsync(http, RunAsync(http, target, id), id));
        }
        catch (Exception e)
        {
            return FailedAsync(http, id, e);
        }
    }

    /// <summary>Serves one request of the metrics port.</summary>
    public Task HandleMetricsAsync(HttpContext http)
    {
        var target = Find(http.Request.Path.Value ?? "") == Target.Metrics ? Target.Metrics : Target.Unknown;
        return Guard(http, target, new Gatekeeper.Pass(), out var id) ?? WatchedAsync(http, RunAsync(http, target, id), id);
    }

    // Null when the request may go on; else its answer.
    private Task? Guard(HttpContext http, Target target, Gatekeeper.Pass pass, out string id)
    {
        id = RequestIds.Of(http.Request.Headers, out var replaced);
        var headers = http.Response.Headers;
        headers["x-request-id"] = id;
        headers["X-Correlation-Id"] = id;
        if (replaced)
        {
            LogReplacedId(log, id);
        }

        if (gatekeeper.CheckSource(http.Request) is { } foreign)
        {
            return ErrorWriter.WriteAsync(http, foreign, id);
        }

        // A browser sends no token with this question.
        if (gatekeeper.IsPreflight(http))
        {
            return Gatekeeper.AnswerPreflightAsync(http);
        }

        if (gatekeeper.CheckToken(http, ScopeOf(target), pass) is { } refused)
        {
            return ErrorWriter.WriteAsync(http, refused, id);
        }

        var method = http.Request.Method;
        var inference = IsInference(target);
        if (target <= Target.UnknownTask || (inference ? method is PostMethod : method is "GET" or "HEAD"))
        {
            return null;
        }

        var allowed = inference ? PostMethod : ReadMethods;
        headers.Allow = allowed;
        var text = $"{method} {http.Request.Path} is not allowed; use {allowed}";
        return ErrorWriter.WriteAsync(http, new Problem(ProblemCode.MethodNotAllowed, text), id);
    }

    internal static Target Find(string path) => path switch
    {
        "/v1/chat/completions" => Target.Chat,
        "/v1/completions" => Target.Completions,
        "/v1/embeddings" => Target.Embeddings,
        "/v1/models" => Target.Models,
        "/health" or "/health/live" => Target.Live,
        "/health/ready" => Target.Ready,
        "/health/detail" => Target.Detail,
        "/v2/meta/version" => Target.Version,
        "/v2/meta/capabilities" => Target.Capabilities,
        "/metrics" => Target.Metrics,
        _ when path.StartsWith(ModelPrefix, StringComparison.Ordinal) && path.Length > ModelPrefix.Length => Target.Model,
        _ when path.StartsWith("/v1/", StringComparison.Ordinal) || path is "/v1" or "/tokenize" => Target.UnknownInference,
        _ when path.StartsWith("/v2/", StringComparison.Ordinal) || path is "/v2" => Target.UnknownTask,
        _ => Target.Unknown,
    };

    internal static Scopes ScopeOf(Target target) => target switch
    {
        Target.Live or Target.Ready or Target.Version or Target.Capabilities or Target.Unknown => Scopes.None,
        Target.Detail or Target.UnknownTask => Scopes.Manage,
        Target.Metrics => Scopes.Metrics,
        _ => Scopes.Inference,
    };

    private static bool IsInference(Target target) => target is Target.Chat or Target.Completions or Target.Embeddings;

    private static Task InferAsync(ApiContext context, Target target, string id)
    {
        var route = target == Target.Chat ? InferenceRoute.Chat : target == Target.Completions ? InferenceRoute.Completions : InferenceRoute.Embeddings;
        return context.Call.RunAsync(context.Http, route, id);
    }

    private Task RunAsync(HttpContext http, Target target, string id) =>
        target switch
        {
            Target.Models => models.ListAsync(http),
            Target.Model => models.OneAsync(http, http.Request.Path.Value![ModelPrefix.Length..], id),
            Target.Live => health.LiveAsync(http),
            Target.Ready => health.ReadyAsync(http),
            Target.Detail => health.DetailAsync(http),
            Target.Version => meta.VersionAsync(http),
            Target.Capabilities => meta.CapabilitiesAsync(http),
            Target.Metrics => MetricsAsync(http),
            Target.UnknownInference => ErrorWriter.WriteAsync(http, new Problem(ProblemCode.UnsupportedRoute, $"no engine here offers {http.Request.Path}"), id),
            _ => NothingThereAsync(http, id),
        };

    private async Task WatchedAsync(HttpContext http, Task answer, string id)
    {
        try
        {
            await answer.ConfigureAwait(false);
        }
        catch (Exception e)
        {
            await FailedAsync(http, id, e).ConfigureAwait(false);
        }
    }

    private Task FailedAsync(HttpContext http, string id, Exception error)
    {
        LogFailed(log, http.Request.Method, http.Request.Path, id, error);
        return http.Response.HasStarted
            ? throw new ResponseCutException()
            : ErrorWriter.WriteAsync(http, new Problem(ProblemCode.Internal, InferenceCall.Unexpected), id);
    }

    private async Task MetricsAsync(HttpContext http)
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

    private static Task NothingThereAsync(HttpContext http, string id) =>
        ErrorWriter.WriteAsync(http, new Problem(ProblemCode.NotFound, $"there is nothing at {http.Request.Path}"), id);

    [LoggerMessage(EventId = 310, Level = LogLevel.Debug, Message = "the client's request id is not 1 to 128 visible ASCII characters; using {RequestId}")]
    private static partial void LogReplacedId(ILogger logger, string requestId);

    [LoggerMessage(EventId = 312, Level = LogLevel.Error, Message = "{Method} {Path}, request {RequestId}, failed unexpectedly")]
    private static partial void LogFailed(ILogger logger, string method, string path, string requestId, Exception error);
}
