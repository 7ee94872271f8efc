using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Explain;
using Loom.Control.Sessions;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Gateway;

/// <summary>
/// One request for inference from its first byte to its last: read, check, admit, dispatch, forward, settle. One instance serves all requests of a
/// connection, one after the other.
/// </summary>
internal sealed partial class InferenceCall : IDisposable
{
    private readonly GatewayServices _services;
    private readonly CallWatch _watch;
    private readonly CallTrace _trace = new();
    private readonly RequestBody _body = new();
    private readonly Ticket _ticket;
    private readonly WaitingStream _waiting;
    private readonly ClientWriter _client;
    private readonly Attempt _attempt;
    private HttpContext _http = null!;
    private InferenceRoute _inference;
    private string _requestId = "";
    private ScannedRequest _request;
    private ModelRoute? _route;
    private Caller _caller = Caller.Anonymous;
    private RequestRecord _record = null!;
    private SessionTurn? _turn;
    private TimeSpan? _deadline;
    private long _started;
    private bool _waitedForSlot;
    private int _attempts;

    public InferenceCall(GatewayServices services)
    {
        _services = services;
        _watch = new CallWatch(services.Time);
        _ticket = new Ticket(_watch);
        _client = new ClientWriter(_watch, services.Options.ClientStallTimeout);
        _waiting = new WaitingStream(_watch, _client, services.Options, services.Desk, services.Time);
        _attempt = new Attempt(services, _watch, _client, _waiting, _trace);
    }

    /// <summary>The drain deadline has passed: ends the call that runs.</summary>
    public void Shutdown() => _watch.End(EndCause.Shutdown);

    /// <summary>The connection is gone: ends the call that runs, and any that still begins.</summary>
    public void Dispose()
    {
        _watch.ClientGone();
        _watch.Dispose();
    }

    /// <summary>Serves one request.</summary>
    /// <exception cref="ResponseCutException">The answer failed after it had begun; the connection must be closed without its proper end.</exception>
    public async Task RunAsync(HttpContext http, InferenceRoute inference, string requestId, Caller caller)
    {
        _http = http;
        _inference = inference;
        _requestId = requestId;
        _caller = caller;
        _record = _services.Requests.Begin(requestId, caller.Name, inference.Path, _services.Time.GetUtcNow());
        _route = null;
        _turn = null;
        _attempts = 0;
        _waitedForSlot = false;
        _started = _services.Time.GetTimestamp();
        _waiting.Reset(http, _started);
        _client.Reset(http);
        _attempt.Reset();
        _watch.Begin();
        _trace.Begin(http.Request.Headers, inference, requestId);
        // A stream may be as slow as its model; the client writer minds clients that do not read.
        var pace = http.Features.Get<IHttpMinResponseDataRateFeature>();
        var usualPace = pace?.MinDataRate;
        pace?.MinDataRate = null;
        Problem? problem = null;
        try
        {
            problem = await PrepareAsync().ConfigureAwait(false) ?? await ServeAsync().ConfigureAwait(false);
            // A refusal by the engine is quick and says nothing about how long work takes.
            Release(measured: problem is null && http.Response.StatusCode == StatusCodes.Status200OK);
            if (problem is not null)
            {
                if (!http.Response.HasStarted)
                {
                    pace?.MinDataRate = usualPace;
                }

                await RefuseAsync(problem).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is not ResponseCutException && !http.Response.HasStarted)
        {
            problem = new Problem(ProblemCode.Internal, RouteServer.Unexpected);
            LogUnexpected(_services.Log, requestId, e);
            Release(measured: false);
            await GatewayErrors.WriteAsync(http, problem, requestId).ConfigureAwait(false);
        }
        catch (Exception e) when (e is not ResponseCutException)
        {
            // The client has a part of the answer and must see that it is cut.
            LogUnexpected(_services.Log, requestId, e);
            throw new ResponseCutException();
        }
        finally
        {
            Release(measured: false);
            _watch.Finish();
            _body.Release();
            Record(problem);
        }
    }

    private async ValueTask<Problem?> PrepareAsync()
    {
        var http = _http.Request;
        if (CallChecks.ContentType(http.ContentType) is { } wrongType)
        {
            return wrongType;
        }

        if (await ReadBodyAsync().ConfigureAwait(false) is { } unread)
        {
            _http.Response.Headers.Connection = "close";
            return unread;
        }

        return RequestScan.Check(_body.Span, _inference, out _request)
            ?? CallChecks.Model(_services.Replicas.Current, _body.Span, _request, out _route)
            ?? CallChecks.Resumable(CallChecks.Header(http, "x-loom-resumable"))
            ?? CallChecks.Deadline(CallChecks.Header(http, "x-loom-deadline-ms"), out _deadline)
            ?? Admit()
            ?? BeginTurn();
    }

    private async ValueTask<Problem?> ReadBodyAsync()
    {
        _watch.Expect(EndCause.SlowBody, _services.Options.BodyTimeout);
        try
        {
            return await _body.ReadAsync(_http.Request, _services.Options.MaxBodyBytes, _watch.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_watch.Cause != EndCause.None)
        {
            return EndProblems.Of(_watch.Cause, _services.Options, queued: true);
        }
        catch (BadHttpRequestException e)
        {
            return new Problem(ProblemCode.InvalidParams, $"the request body cannot be read: {e.Message}", Status: e.StatusCode);
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            _watch.ClientGone();
            return EndProblems.Of(EndCause.ClientGone, _services.Options, queued: true);
        }
    }

    private Problem? Admit()
    {
        if (CallChecks.Priority(CallChecks.Header(_http.Request, "x-loom-priority"), _request.Flex, out var queueClass) is { } wrong)
        {
            return wrong;
        }

        if (_deadline is { } deadline)
        {
            // The caller counts from the arrival of its request, not from the end of its body.
            _watch.LimitTo(deadline - _services.Time.GetElapsedTime(_started));
        }

        _ticket.Reset(_route!, queueClass, _deadline?.TotalMilliseconds, _started);
        _ticket.Work = _inference;
        _ticket.MostTokens = _request.MostTokens;
        _ticket.Trace = _record;
        _record.Asked(_route!.Name, _route.Model, queueClass, _request.Stream);
        _services.Metrics.Enqueued(Engine, queueClass);
        _trace.Model(_route!.Model);
        return null;
    }

    private Problem? BeginTurn()
    {
        if (CallChecks.Session(CallChecks.Header(_http.Request, "x-loom-session"), out var session) is { } wrong)
        {
            return wrong;
        }

        if (session is null)
        {
            return null;
        }

        if (CallChecks.KvHint(CallChecks.Header(_http.Request, "x-loom-kv-hint"), out var reuse) is { } wrongHint)
        {
            return wrongHint;
        }

        try
        {
            var need = SessionNeeds.Of(_body.Length, _request.MostTokens, _deadline, _route!, _services.Sessions.Prices);
            _turn = _services.Sessions.Begin(_caller.Name, session, need);
        }
        catch (ProblemException e)
        {
            return e.Problem;
        }

        _ticket.LastReplica = reuse ? _turn.LastReplica : null;
        return null;
    }

    private async ValueTask<Problem?> ServeAsync()
    {
        _trace.Wait();
        var admittance = _services.Desk.Enter(_ticket);
        Problem? last = null;
        while (true)
        {
            if (admittance == Admittance.Refused)
            {
                return last is null ? Rejected(_ticket.Refusal!) : Exhausted(last);
            }

            if (admittance == Admittance.Waiting && await AwaitSlotAsync().ConfigureAwait(false) is { } lost)
            {
                return lost;
            }

            Started();
            _watch.Hold(_ticket);
            var result = await _attempt.RunAsync(_http, new AttemptPlan(_inference, _requestId, _request, _body.Memory, _ticket, _attempts, QueueMs, _turn)).ConfigureAwait(false);
            _watch.LetGo();
            _trace.Answered(result.Problem);
            _record.Attempted(result.Problem?.Code, _attempt.FirstByteMs);
            if (result.End != AttemptEnd.TryAgain)
            {
                return result.Problem;
            }

            last = result.Problem!;
            if (_attempts >= _services.Admission.DispatchAttempts)
            {
                return Exhausted(last);
            }

            _trace.Wait();
            admittance = _services.Desk.TryAgain(_ticket);
            _services.Metrics.Retried(admittance == Admittance.Refused ? "exhausted" : "retried");
        }
    }

    private void Started()
    {
        _attempts++;
        _services.Metrics.Placed(_services.Desk.StrategyName, "placed", _ticket.DecidedIn / (double)_services.Time.TimestampFrequency);
        _trace.Placed(_ticket.Replica, _services.Desk.StrategyName, _waitedForSlot);
        if (_attempts == 1)
        {
            if (_turn?.TimeLimit is { } budget)
            {
                var left = _deadline - _services.Time.GetElapsedTime(_started);
                _watch.LimitTo(left < budget ? left.Value : budget);
            }

            _record.Started(QueueMs, _ticket.Predicted);
            _services.Metrics.Started(Engine, _ticket.Class, QueueMs / 1000);
            if (_ticket.Predicted is { } predicted)
            {
                _services.Metrics.Predicted(_ticket.Class, Math.Abs(predicted.Milliseconds - QueueMs) / 1000);
            }
        }
    }

    private async Task RefuseAsync(Problem problem)
    {
        if (_watch.Cause is EndCause.ClientGone or EndCause.ClientStall)
        {
            // Nobody listens.
            _http.Abort();
            return;
        }

        if (!_http.Response.HasStarted)
        {
            if (_ticket.Replica is { } replica && _attempts > 0)
            {
                LoomHeaders.Describe(_http.Response.Headers, replica, QueueMs, _attempts, _turn);
            }

            await GatewayErrors.WriteAsync(_http, problem, _requestId).ConfigureAwait(false);
            return;
        }

        if (_request.Stream)
        {
            _client.Write(_attempt.EngineRefusal ?? GatewayErrors.AsEvent(problem, _requestId, _inference));
            await _client.FlushAsync().ConfigureAwait(false);
        }

        throw new ResponseCutException();
    }

    private string Engine => (_ticket.Replica ?? _route!.Offering[0]).Status.EngineKind;

    private double QueueMs => _waitedForSlot ? _services.Time.GetElapsedTime(_started, _ticket.GrantedAt).TotalMilliseconds : 0;

    [LoggerMessage(EventId = 303, Level = LogLevel.Error, Message = "request {RequestId} failed unexpectedly")]
    private static partial void LogUnexpected(ILogger logger, string requestId, Exception error);
}
