using System.Text;
using System.Text.Json;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Tasks;

/// <summary>
/// Sends a task to the replica its ticket holds and reads the answer into the task. Until the first token a failure asks for another replica; after it a
/// failure is final.
/// </summary>
internal sealed partial class TaskAttempt(GatewayServices services, CallWatch watch, TaskEntry task, TaskPlan plan, Ticket ticket)
{
    private const int Shown = 300;
    private const int LongestAnswer = 64 * 1024 * 1024;
    private const int LongestEvent = 8 * 1024 * 1024;


    private TokenUsage? _usage;
    private string? _finish;
    private string? _streamError;
    private bool _done;

    /// <summary>Tokens, if the engine told.</summary>
    public TokenUsage? Usage => _usage;

    /// <summary>Why the engine stopped.</summary>
    public string? FinishReason => _finish;

    /// <summary>The engine's answer to a task that is no text.</summary>
    public JsonElement? Result { get; private set; }

    /// <summary>When the request went out.</summary>
    public long SentAt { get; private set; }

    /// <summary>When the first byte of the answer came; 0 while none did.</summary>
    public long FirstByteAt { get; private set; }

    private Replica Replica => ticket.Replica!;

    private bool IsHarmless => task.TokensOut == 0 && Result is null && !Replica.IsRemote;

    /// <summary>Runs the attempt to its end.</summary>
    public async ValueTask<AttemptResult> RunAsync(string requestId)
    {
        SentAt = services.Time.GetTimestamp();
        watch.Expect(EndCause.FirstTokenTimeout, services.Options.FirstTokenTimeout);
        try
        {
            using var answer = await SendAsync(requestId).ConfigureAwait(false);
            return await ReadAsync(answer).ConfigureAwait(false);
        }
        catch (Exception e) when (AttemptFaults.Knows(e, watch))
        {
            return AttemptFaults.Judge(e, services, watch, Replica, IsHarmless);
        }
    }

    private async ValueTask<HttpResponseMessage> SendAsync(string requestId)
    {
        var request = Request(requestId);
        try
        {
            return await services.Upstream.SendAsync(Replica, request, watch.Token).ConfigureAwait(false);
        }
        catch (HttpRequestException e) when (watch.Cause == EndCause.None && !Replica.IsRemote && request.FoundDeadConnection(e))
        {
            // A provider would count the work twice.
            return await services.Upstream.SendAsync(Replica, Request(requestId), watch.Token).ConfigureAwait(false);
        }
    }

    private UpstreamRequest Request(string requestId)
    {
        var status = Replica.Status;
        var model = Replica.UpstreamModelJson ?? JsonSerializer.SerializeToUtf8Bytes(ticket.Route.Model, CatalogJson.Default.String);
        var body = TaskBody.Write(plan, model, status.StreamUsage);
        var request = new UpstreamRequest(HttpMethod.Post, Replica.TargetOf(TaskBody.RouteOf(plan))) { Content = new UpstreamBody(body, []) };
        request.Headers.TryAddWithoutValidation("X-Request-Id", requestId);
        // What opens a provider, or the agent of a node.
        foreach (var (name, value) in services.Credentials.HeadersFor(status))
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        return request;
    }

    private async ValueTask<AttemptResult> ReadAsync(HttpResponseMessage answer)
    {
        var body = await answer.Content.ReadAsStreamAsync(watch.Token).ConfigureAwait(false);
        if (AgentRefusal.Is(answer))
        {
            return AgentRefusal.Of(Replica, (int)answer.StatusCode, await answer.Content.ReadAsByteArrayAsync(watch.Token).ConfigureAwait(false));
        }

        if (!answer.IsSuccessStatusCode)
        {
            return await RefusedAsync(body, (int)answer.StatusCode).ConfigureAwait(false);
        }

        if (plan.Workload == Workload.Completion)
        {
            await ReadEventsAsync(body).ConfigureAwait(false);
            return EndOfStream();
        }

        return await ReadResultAsync(body).ConfigureAwait(false);
    }

    private AttemptResult EndOfStream()
    {
        if (_streamError is { } told)
        {
            services.Nodes.ReportFault(Replica.Status.Id, "the engine ended a stream with an error");
            return Lost($"'{Replica.Status.Id}' ended its stream with an error: {told}");
        }

        // An engine that was cut off says neither why it stopped nor that it is done.
        return _done || _finish is not null ? AttemptResult.Done : Lost($"'{Replica.Status.Id}' ended its stream without saying that it is done");
    }

    private AttemptResult Lost(string text)
    {
        var problem = new Problem(ProblemCode.WorkerReset, text, Backoff: new Backoff(1000));
        return IsHarmless ? AttemptResult.TryAgain(problem) : AttemptResult.Failed(problem);
    }

    private async ValueTask ReadEventsAsync(Stream body)
    {
        var buffer = new byte[16 * 1024];
        var filled = 0;
        while (!_done && _streamError is null)
        {
            var read = await body.ReadAsync(buffer.AsMemory(filled), watch.Token).ConfigureAwait(false);
            if (read == 0)
            {
                return;
            }

            Seen();
            filled += read;
            var taken = Take(buffer.AsSpan(0, filled));
            filled -= taken;
            buffer.AsSpan(taken, filled).CopyTo(buffer);
            if (filled == buffer.Length)
            {
                if (filled >= LongestEvent)
                {
                    throw new IOException($"the engine sent an event of more than {LongestEvent} bytes");
                }

                Array.Resize(ref buffer, buffer.Length * 2);
            }

            watch.Token.ThrowIfCancellationRequested();
            watch.Expect(EndCause.StreamIdle, services.Options.StreamIdleTimeout);
        }
    }

    private int Take(ReadOnlySpan<byte> bytes)
    {
        var seen = 0;
        while (SseScanner.FirstEvent(bytes[seen..]) is > 0 and var length)
        {
            var one = bytes.Slice(seen, length);
            seen += length;
            var kind = SseScanner.Classify(one, ref _usage);
            if (kind == SseEventKind.Done)
            {
                _done = true;
                return seen;
            }

            // A cancelled task gets no token any more.
            if (kind == SseEventKind.Data && watch.Cause == EndCause.None)
            {
                Take(TaskChunk.Read(DataOf(one)));
            }
        }

        return seen;
    }

    private void Take(TaskChunk chunk)
    {
        _finish = chunk.FinishReason ?? _finish;
        _streamError = chunk.Error ?? _streamError;
        if (chunk.Text is { } text)
        {
            task.Token(text);
        }
    }

    private async ValueTask<AttemptResult> ReadResultAsync(Stream body)
    {
        using var whole = new MemoryStream();
        var buffer = new byte[64 * 1024];
        int read;
        while ((read = await body.ReadAsync(buffer, watch.Token).ConfigureAwait(false)) > 0)
        {
            Seen();
            whole.Write(buffer, 0, read);
            watch.Expect(EndCause.StreamIdle, services.Options.StreamIdleTimeout);
            if (whole.Length > LongestAnswer)
            {
                return AttemptResult.Failed(new Problem(ProblemCode.Internal, $"the engine's answer is larger than {LongestAnswer} bytes; send fewer inputs at once"));
            }
        }

        var bytes = whole.GetBuffer().AsMemory(0, (int)whole.Length);
        try
        {
            using var document = JsonDocument.Parse(bytes);
            _usage = TokenUsage.TryRead(bytes.Span, out var usage, out _) ? usage : null;
            _finish = "stop";
            Result = document.RootElement.Clone();
            return AttemptResult.Done;
        }
        catch (JsonException e)
        {
            services.Nodes.ReportFault(Replica.Status.Id, "the engine's answer is no JSON");
            return Lost($"the answer of '{Replica.Status.Id}' is no JSON: {e.Message}");
        }
    }

    private async ValueTask<AttemptResult> RefusedAsync(Stream body, int status)
    {
        var buffer = new byte[4096];
        var length = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, watch.Token).ConfigureAwait(false);
        var text = Encoding.UTF8.GetString(buffer, 0, Math.Min(length, Shown)).ReplaceLineEndings(" ");
        LogRefused(services.Log, Replica.Status.Id, status);
        var said = $"'{Replica.Status.Id}' answered with status {status}: {text}";
        if (status >= 500)
        {
            if (status != 503)
            {
                services.Nodes.ReportFault(Replica.Status.Id, $"status {status}");
            }

            return Lost(said);
        }

        var code = status == 429 ? ProblemCode.AdmissionReject
            : text.Contains("context_length_exceeded", StringComparison.Ordinal) ? ProblemCode.ContextLength
            : text.Contains("unsupported_parameter", StringComparison.Ordinal) ? ProblemCode.UnsupportedParameter
            : text.Contains("unsupported_route", StringComparison.Ordinal) || status is 404 or 405 ? ProblemCode.UnsupportedRoute
            : ProblemCode.InvalidParams;
        return AttemptResult.Failed(new Problem(code, said));
    }

    private void Seen()
    {
        if (FirstByteAt == 0)
        {
            FirstByteAt = services.Time.GetTimestamp();
        }
    }

    private static ReadOnlySpan<byte> DataOf(ReadOnlySpan<byte> whole)
    {
        foreach (var range in whole.Split((byte)'\n'))
        {
            var line = whole[range];
            if (line.StartsWith("data:"u8))
            {
                return line[5..].Trim(" \r"u8);
            }
        }

        return [];
    }

    [LoggerMessage(EventId = 331, Level = LogLevel.Warning, Message = "replica {Replica} answered a task with status {Status}")]
    private static partial void LogRefused(ILogger logger, ReplicaId replica, int status);
}
