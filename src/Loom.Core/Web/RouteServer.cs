using Loom.Wire;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Loom.Core.Web;

/// <summary>Serves a <see cref="RouteTable"/> behind a <see cref="Gatekeeper"/>: source, token, route, and every failure as an answer.</summary>
/// <param name="routes">The routes as of now; asked for each request.</param>
/// <param name="gatekeeper">Who may use them.</param>
/// <param name="log">Where unexpected failures are told.</param>
/// <param name="marks">Whether errors bear <see cref="OwnError"/>: for a server that also passes on what others answer.</param>
public sealed partial class RouteServer(Func<RouteTable> routes, Gatekeeper gatekeeper, ILogger log, bool marks = false) : IHttpApplication<HttpContext>
{
    /// <summary>Header of an agent's own errors, which tells them from those of the engine behind it.</summary>
    public const string OwnError = "x-loom-agent";

    /// <summary>What a client is told of a failure that nobody foresaw.</summary>
    public const string Unexpected = "the server failed on this request; its log names the cause under the request's id";

    private int _running;

    /// <summary>Serves routes that stay as they are.</summary>
    public RouteServer(RouteTable routes, Gatekeeper gatekeeper, ILogger log, bool marks = false)
        : this(() => routes, gatekeeper, log, marks)
    {
    }

    /// <summary>Requests being served.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Serves one request.</summary>
    /// <param name="http">The exchange.</param>
    /// <param name="pass">What the connection has shown before; null = nothing is remembered.</param>
    public async Task HandleAsync(HttpContext http, Gatekeeper.Pass? pass = null)
    {
        var id = Begin(http);
        try
        {
            if (gatekeeper.CheckSource(http.Request) is { } foreign)
            {
                throw new ProblemException(foreign);
            }

            // A browser sends no token with this question.
            if (gatekeeper.IsPreflight(http))
            {
                await Gatekeeper.AnswerPreflightAsync(http).ConfigureAwait(false);
                return;
            }

            await DispatchAsync(http, pass ?? new Gatekeeper.Pass(), id).ConfigureAwait(false);
        }
        catch (ProblemException e) when (!http.Response.HasStarted)
        {
            await RefuseAsync(http, e.Problem, id).ConfigureAwait(false);
        }
        catch (BadHttpRequestException e) when (!http.Response.HasStarted)
        {
            // What follows on the connection cannot be told from what was not understood.
            http.Response.Headers.Connection = "close";
            await RefuseAsync(http, new Problem(ProblemCode.InvalidParams, $"the request body cannot be read: {e.Message}", Status: e.StatusCode), id).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody listens.
            http.Abort();
        }
        catch (Exception e) when (e is not ResponseCutException)
        {
            LogFailed(log, http.Request.Method, http.Request.Path, id, e);
            if (http.Response.HasStarted)
            {
                throw new ResponseCutException();
            }

            await RefuseAsync(http, new Problem(ProblemCode.Internal, Unexpected), id).ConfigureAwait(false);
        }
    }

    HttpContext IHttpApplication<HttpContext>.CreateContext(IFeatureCollection contextFeatures)
    {
        Interlocked.Increment(ref _running);
        contextFeatures.Get<ServerErrors>()?.RequestRuns = true;
        return new DefaultHttpContext(contextFeatures);
    }

    Task IHttpApplication<HttpContext>.ProcessRequestAsync(HttpContext context) => HandleAsync(context);

    void IHttpApplication<HttpContext>.DisposeContext(HttpContext context, Exception? exception)
    {
        context.Features.Get<ServerErrors>()?.RequestRuns = false;
        Interlocked.Decrement(ref _running);
    }

    /// <summary>Gives a request its id, which all its answers bear.</summary>
    public string Begin(HttpContext http)
    {
        var id = RequestIds.Of(http.Request.Headers, out var replaced);
        var headers = http.Response.Headers;
        headers["x-request-id"] = id;
        headers["X-Correlation-Id"] = id;
        if (replaced)
        {
            LogReplacedId(log, id);
        }

        return id;
    }

    private Task RefuseAsync(HttpContext http, Problem problem, string id)
    {
        if (marks)
        {
            http.Response.Headers[OwnError] = "1";
        }

        return ErrorWriter.WriteAsync(http, problem, id);
    }

    private async Task DispatchAsync(HttpContext http, Gatekeeper.Pass pass, string id)
    {
        var match = routes().Find(http.Request.Method, http.Request.Path.Value ?? "");
        // What is not there is told to those only who may ask what is.
        if (gatekeeper.CheckToken(http, match?.Scope ?? ScopeOfNothing(http.Request.Path), pass) is { } refused)
        {
            throw new ProblemException(refused);
        }

        if (match is null)
        {
            throw new ProblemException(Missing(http.Request.Path));
        }

        if (match.Route is not { } route)
        {
            http.Response.Headers.Allow = match.Allowed;
            throw new ProblemException(new Problem(ProblemCode.MethodNotAllowed, $"{http.Request.Method} {http.Request.Path} is not allowed; use {match.Allowed}"));
        }

        await route.Run(new ApiCall(http, match, id, pass.Caller, gatekeeper.Time)).ConfigureAwait(false);
    }

    private static Scopes ScopeOfNothing(PathString path) =>
        IsInference(path) ? Scopes.Inference : path.StartsWithSegments("/v2", StringComparison.Ordinal) ? Scopes.Manage : Scopes.None;

    private static bool IsInference(PathString path) => path.StartsWithSegments("/v1", StringComparison.Ordinal) || path == "/tokenize";

    private static Problem Missing(PathString path) => IsInference(path)
        ? new Problem(ProblemCode.UnsupportedRoute, $"no engine here offers {path}")
        : new Problem(ProblemCode.NotFound, $"there is nothing at {path}");

    [LoggerMessage(EventId = 310, Level = LogLevel.Debug, Message = "the client's request id is not 1 to 128 visible ASCII characters; using {RequestId}")]
    private static partial void LogReplacedId(ILogger logger, string requestId);

    [LoggerMessage(EventId = 312, Level = LogLevel.Error, Message = "{Method} {Path}, request {RequestId}, failed unexpectedly")]
    private static partial void LogFailed(ILogger logger, string method, string path, string requestId, Exception error);
}
