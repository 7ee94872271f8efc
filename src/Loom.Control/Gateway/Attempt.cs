using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Sessions;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Gateway;

/// <summary>What one attempt needs to know of its request.</summary>
internal readonly record struct AttemptPlan(
    InferenceRoute Route, string RequestId, ScannedRequest Request, ReadOnlyMemory<byte> Body, Ticket Ticket, int Number, double QueueMs, SessionTurn? Turn);

/// <summary>
/// Sends a request to the replica its ticket holds and forwards the answer. Before the first byte of the answer a failure asks for another replica;
/// after it a failure is final. Used again for the next request of the connection.
/// </summary>
internal sealed partial class Attempt
{
    private readonly GatewayServices _services;
    private readonly CallTrace _trace;
    private readonly CallWatch _watch;
    private readonly WaitingStream _waiting;
    private readonly StreamRelay _streamRelay;
    private readonly WholeRelay _wholeRelay;
    private readonly Action _beginStream;
    private readonly Action<long?> _beginWhole;
    private HttpContext _http = null!;
    private AttemptPlan _plan;
    private HttpResponseMessage? _answer;
    private long _sentAt;

    public Attempt(GatewayServices services, CallWatch watch, ClientWriter client, WaitingStream waiting, CallTrace trace)
    {
        _services = services;
        _trace = trace;
        _watch = watch;
        _waiting = waiting;
        _streamRelay = new StreamRelay(watch, client, waiting, services.Options, services.Time, services.Metrics.StreamRepaired);
        _wholeRelay = new WholeRelay(watch, client, services.Options, services.Time);
        Record = new RelayRecord(gap => _services.Metrics.TokenGap(Replica.Status.Id.PoolId, _plan.Ticket.Route.Model, gap / (double)_services.Time.TimestampFrequency), trace.FirstToken);
        _beginStream = BeginStream;
        _beginWhole = BeginWhole;
    }

    /// <summary>What was seen of the answer.</summary>
    public RelayRecord Record { get; }

    /// <summary>The engine's own refusal as a stream event, when it came after the client had its headers.</summary>
    public byte[]? EngineRefusal { get; private set; }

    /// <summary>From dispatch to the first byte of the answer, in milliseconds; 0 when none came.</summary>
    public double FirstByteMs => Record.FirstByteAt == 0 ? 0 : _services.Time.GetElapsedTime(_sentAt, Record.FirstByteAt).TotalMilliseconds;

    private Replica Replica => _plan.Ticket.Replica!;

    // Nothing of the answer went out, and another replica can be asked without paying twice.
    private bool IsHarmless => Record.FirstByteAt == 0 && !Replica.IsRemote;

    public void Reset()
    {
        Record.Reset();
        EngineRefusal = null;
    }

    /// <summary>Runs the attempt to its end.</summary>
    public async ValueTask<AttemptResult> RunAsync(HttpContext http, AttemptPlan plan)
    {
        _http = http;
        _plan = plan;
        _sentAt = _services.Time.GetTimestamp();
        _watch.Expect(EndCause.FirstTokenTimeout, _services.Options.FirstTokenTimeout);
        try
        {
            using var answer = await SendAsync().ConfigureAwait(false);
            _answer = answer;
            return await ForwardAsync(answer).ConfigureAwait(false);
        }
        catch (Exception e) when (AttemptFaults.Knows(e, _watch))
        {
            return AttemptFaults.Judge(e, _services, _watch, Replica, IsHarmless);
        }
        finally
        {
            _answer = null;
        }
    }

    /// <summary>Reports tokens and times of a finished answer; returns the seconds the engine took.</summary>
    public double Settle(Replica replica, string model)
    {
        var time = _services.Time;
        var firstByte = Record.FirstByteAt == 0 ? time.GetTimestamp() : Record.FirstByteAt;
        var prefill = time.GetElapsedTime(_sentAt, firstByte).TotalSeconds;
        var decode = time.GetElapsedTime(firstByte).TotalSeconds;
        var pool = replica.Status.Id.PoolId;
        _services.Metrics.Answered(pool, model, prefill, decode);
        var usage = Record.Usage ?? new TokenUsage(0, 0, Record.Events);
        _services.Metrics.Tokens(pool, model, replica.Status.Mock, usage.Prompt, usage.Cached, usage.Completion);
        return prefill + (_plan.Request.Stream ? decode : 0);
    }

    private async ValueTask<HttpResponseMessage> SendAsync()
    {
        var request = Request();
        try
        {
            return await SendAsync(request).ConfigureAwait(false);
        }
        catch (HttpRequestException e) when (_watch.Cause == EndCause.None && !Replica.IsRemote && request.FoundDeadConnection(e))
        {
            // A provider would count the work twice.
            LogReconnect(_services.Log, Replica.Status.Id, e.Message);
            return await SendAsync(Request()).ConfigureAwait(false);
        }
    }

    private UpstreamRequest Request()
    {
        var route = _plan.Ticket.Route;
        var splices = Splices.Of(_plan.Request, Replica.UpstreamModelJson ?? route.ModelJson, Replica.Status.StreamUsage);
        var request = new UpstreamRequest(HttpMethod.Post, Replica.TargetOf(_plan.Route)) { Content = new UpstreamBody(_plan.Body, splices) };
        request.Headers.TryAddWithoutValidation("X-Request-Id", _plan.RequestId);
        CopyHeaders(request.Headers);
        _trace.Send(request.Headers, Replica, _plan.Number);
        return request;
    }

    private async ValueTask<HttpResponseMessage> SendAsync(UpstreamRequest request)
    {
        var sending = _services.Upstream.SendAsync(Replica, request, _watch.Token);
        if (_plan.Request.Stream && !sending.IsCompleted)
        {
            await _waiting.WaitAsync(sending, _plan.Ticket, _watch.Token).ConfigureAwait(false);
        }

        return await sending.ConfigureAwait(false);
    }

    private async ValueTask<AttemptResult> ForwardAsync(HttpResponseMessage answer)
    {
        var status = (int)answer.StatusCode;
        if (AgentRefusal.Is(answer))
        {
            var refusal = await answer.Content.ReadAsByteArrayAsync(_watch.Token).ConfigureAwait(false);
            LogRefused(_services.Log, Replica.Status.Id, status);
            return AgentRefusal.Of(Replica, status, refusal);
        }

        if (status >= StatusCodes.Status500InternalServerError && !Replica.IsRemote)
        {
            return await RefusedByEngineAsync(answer, status).ConfigureAwait(false);
        }

        if (status >= StatusCodes.Status500InternalServerError)
        {
            _services.Nodes.ReportFault(Replica.Status.Id, $"status {status}");
        }

        var body = await answer.Content.ReadAsStreamAsync(_watch.Token).ConfigureAwait(false);
        if (_plan.Request.Stream && answer.IsSuccessStatusCode && IsEventStream(answer.Content.Headers))
        {
            var hideUsage = _plan.Request.Usage != UsageAsk.Asked && Replica.Status.StreamUsage;
            await _streamRelay.RunAsync(body, _plan.Ticket, hideUsage, _plan.Route == InferenceRoute.Chat, _beginStream, Record).ConfigureAwait(false);
        }
        else if (_waiting.HeadersSent)
        {
            return await LateRefusalAsync(body, status).ConfigureAwait(false);
        }
        else
        {
            await _wholeRelay.RunAsync(body, _beginWhole, Record).ConfigureAwait(false);
        }

        return AttemptResult.Done;
    }

    private async ValueTask<AttemptResult> RefusedByEngineAsync(HttpResponseMessage answer, int status)
    {
        const int Shown = 300;
        const int Longest = 4096;
        var body = await answer.Content.ReadAsStreamAsync(_watch.Token).ConfigureAwait(false);
        // Read on beyond what is shown, because a body read to its end leaves the connection in use.
        var buffer = new byte[Longest];
        var length = await body.ReadAtLeastAsync(buffer, Longest, throwOnEndOfStream: false, _watch.Token).ConfigureAwait(false);
        var text = Encoding.UTF8.GetString(buffer, 0, Math.Min(length, Shown));
        if (status != StatusCodes.Status503ServiceUnavailable)
        {
            _services.Nodes.ReportFault(Replica.Status.Id, $"status {status}");
        }

        LogRefused(_services.Log, Replica.Status.Id, status);
        return AttemptResult.TryAgain(new Problem(ProblemCode.WorkerReset, $"'{Replica.Status.Id}' answered with status {status}: {text.ReplaceLineEndings(" ")}"));
    }

    // The client has a 200 and comments already, so the engine's answer becomes the last event of the stream.
    private async ValueTask<AttemptResult> LateRefusalAsync(Stream body, int status)
    {
        const int Longest = 64 * 1024;
        var buffer = new byte[Longest];
        var length = await body.ReadAtLeastAsync(buffer, Longest, throwOnEndOfStream: false, _watch.Token).ConfigureAwait(false);
        if (IsError(buffer.AsMemory(0, length)))
        {
            var text = Encoding.UTF8.GetString(buffer, 0, length).ReplaceLineEndings(" ");
            EngineRefusal = Encoding.UTF8.GetBytes($"data: {text}\n\n");
        }

        int? refusal = status >= StatusCodes.Status400BadRequest ? status : null;
        return AttemptResult.Failed(new Problem(ProblemCode.WorkerReset, $"the engine answered with status {status} and no stream of events", Status: refusal));
    }

    private void BeginStream()
    {
        _plan.Turn?.AnswersAt(Replica.Status.Id);
        if (_waiting.HeadersSent)
        {
            return;
        }

        var response = _http.Response;
        response.StatusCode = (int)_answer!.StatusCode;
        LoomHeaders.CopyFrom(_answer, response.Headers);
        LoomHeaders.Stream(response.Headers);
        LoomHeaders.Describe(response.Headers, Replica, _plan.QueueMs, _plan.Number, _plan.Turn);
    }

    private void BeginWhole(long? length)
    {
        _plan.Turn?.AnswersAt(Replica.Status.Id);
        var response = _http.Response;
        var content = _answer!.Content.Headers;
        response.StatusCode = (int)_answer.StatusCode;
        LoomHeaders.CopyFrom(_answer, response.Headers);
        response.Headers.ContentType =
            content.NonValidated.TryGetValues("Content-Type", out var types) && types.ToString() is var type && LoomHeaders.IsVisible(type) ? type : "application/json";
        response.Headers.ContentLength = length ?? content.ContentLength;
        LoomHeaders.Describe(response.Headers, Replica, _plan.QueueMs, _plan.Number, _plan.Turn);
    }

    private void CopyHeaders(HttpRequestHeaders headers)
    {
        var from = _http.Request.Headers;
        if (from.TraceParent is { Count: > 0 } parent)
        {
            headers.TryAddWithoutValidation("traceparent", (IEnumerable<string?>)parent);
            headers.TryAddWithoutValidation("tracestate", (IEnumerable<string?>)from.TraceState);
        }

        if (_plan.Route.IsAnthropic)
        {
            Copy(from, headers, "anthropic-version");
            Copy(from, headers, "anthropic-beta");
        }

        if (Replica.Status.Mock)
        {
            foreach (var (mockName, mockValue) in from)
            {
                // How tests tell a mock engine what to do; no other engine is sent these.
                if (mockName.StartsWith("x-mock-", StringComparison.OrdinalIgnoreCase))
                {
                    headers.TryAddWithoutValidation(mockName, (IEnumerable<string?>)mockValue);
                }
            }
        }

        // What opens a provider, or the agent of a node.
        foreach (var (name, value) in _services.Credentials.HeadersFor(Replica.Status))
        {
            headers.TryAddWithoutValidation(name, value);
        }
    }

    private static void Copy(IHeaderDictionary from, HttpRequestHeaders to, string name)
    {
        if (from.TryGetValue(name, out var value))
        {
            to.TryAddWithoutValidation(name, (IEnumerable<string?>)value);
        }
    }

    // Clients parse each event, so only what has the shape of an error may stand in one.
    private static bool IsError(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var json = JsonDocument.Parse(body);
            return json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("error"u8, out _);
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool IsEventStream(HttpContentHeaders headers) =>
        headers.NonValidated.TryGetValues("Content-Type", out var type) && type.ToString().StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase);

    [LoggerMessage(EventId = 301, Level = LogLevel.Warning, Message = "replica {Replica} answered with status {Status}")]
    private static partial void LogRefused(ILogger logger, ReplicaId replica, int status);

    [LoggerMessage(EventId = 302, Level = LogLevel.Debug, Message = "reused connection to replica {Replica} had died, connecting again: {Reason}")]
    private static partial void LogReconnect(ILogger logger, ReplicaId replica, string reason);
}
