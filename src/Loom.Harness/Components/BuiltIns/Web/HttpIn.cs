using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Threading.Channels;
using Loom.Components;
using Loom.Core.Web;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Wire;

namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>Makes an event of each HTTP request and, where asked, an answer of the event that comes back.</summary>
[Component("http_in", Type = ComponentType.ApiEndpoint,
    Summary = "Serves a route of the harness's own address: each request becomes an event, answered at once or by the event that comes back. Full streams and too many requests give 503 with Retry-After.")]
[Output("out", typeof(JsonElement))]
[Input("in", typeof(JsonElement), Required = false)]
internal sealed class HttpIn(HttpInOptions options, IEndpointRoutes routes, Random random) : Component, IEntrance
{
    /// <summary>Header of the event by which its answer is known; whatever is derived from it inherits it.</summary>
    internal const string RequestHeader = "loom-request";

    private readonly ConcurrentDictionary<long, Incoming> _open = new();
    private readonly Channel<Incoming> _requests = Channel.CreateUnbounded<Incoming>(new UnboundedChannelOptions { SingleReader = true });
    private string _origin = "";
    private volatile ProcessContext? _running;
    private volatile bool _full;
    private int _inWork;
    private long _last;
    private IComponentMetrics _metrics = null!;
    private TimeProvider _time = TimeProvider.System;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _metrics = ctx.Metrics;
        _time = ctx.Time;
        // Ids never come again, though what a request said is nowhere to be read again.
        _origin = string.Create(CultureInfo.InvariantCulture, $"{ctx.Name}:{ctx.Time.GetUtcNow().ToUnixTimeMilliseconds()}");
        ctx.Own(routes.Add(new ApiRoute(options.Method, options.Route, options.Auth == HttpAuth.Token ? Scopes.Inference : Scopes.None, HandleAsync)));
        return default;
    }

    /// <inheritdoc />
    protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
    {
        var output = ctx.Out<JsonElement>();
        var input = ctx.In<JsonElement>();
        _running = ctx;
        await using var stop = ctx.Stopping.UnsafeRegister(static c => ((ProcessContext)c!).Wake(), ctx);
        await using var cancel = ct.UnsafeRegister(static c => ((ProcessContext)c!).Wake(), ctx);
        try
        {
            while (!ctx.Stopping.IsCancellationRequested || Volatile.Read(ref _inWork) > 0)
            {
                while (_requests.Reader.TryRead(out var request))
                {
                    var sending = output.SendAsync(request.Event, ct);
                    if (!sending.IsCompleted)
                    {
                        // This one waits for room; those that come meanwhile are sent away.
                        _full = true;
                    }

                    await sending.ConfigureAwait(true);
                    _full = false;
                    request.Entered.TrySetResult();
                    if (options.Reply == HttpReply.AfterAck)
                    {
                        Confirm(ctx, request.Number);
                    }
                }

                while (input.TryRead(out var answer))
                {
                    Answer(answer);
                }

                if (!await input.WaitToReadAsync(ct).ConfigureAwait(true))
                {
                    break;
                }
            }
        }
        finally
        {
            _running = null;
            _full = false;
            Abandon();
        }
    }

    // Keeps the number alone: whoever has stopped waiting leaves no payload behind.
    private void Confirm(ProcessContext ctx, long number) => ctx.WhenConfirmed(() =>
    {
        if (_open.TryGetValue(number, out var request))
        {
            request.Answer.TrySetResult(request.Event);
        }

        return default;
    });

    private async Task HandleAsync(ApiCall call)
    {
        if (options.Auth == HttpAuth.Token && call.Caller == Caller.Anonymous)
        {
            // A server that lets inference through without a token does not let this through.
            throw new ProblemException(new Problem(ProblemCode.Unauthenticated, "this route needs a token: send Authorization: Bearer <token>", SubCode: 40101));
        }

        var running = _running;
        if (running is null || running.Stopping.IsCancellationRequested)
        {
            throw Busy("the system is stopping or not yet running");
        }

        if (Interlocked.Increment(ref _inWork) > options.MaxConcurrent)
        {
            Leave(running);
            throw Busy($"{options.MaxConcurrent} requests are in work, which is max_concurrent");
        }

        try
        {
            await ServeAsync(call, running).ConfigureAwait(false);
        }
        finally
        {
            Leave(running);
        }
    }

    private async Task ServeAsync(ApiCall call, ProcessContext running)
    {
        var payload = await PayloadAsync(call).ConfigureAwait(false);
        var number = Interlocked.Increment(ref _last);
        var id = EventId.Root(_origin, number);
        var e = new Event<JsonElement>(id, payload, time: _time.GetUtcNow());
        if (options.Reply == HttpReply.Response)
        {
            e = e.WithHeader(RequestHeader, number.ToString(CultureInfo.InvariantCulture));
        }

        var incoming = new Incoming(number, e);
        _open[number] = incoming;
        try
        {
            if (_full)
            {
                throw Busy("the streams behind this route are full");
            }

            _requests.Writer.TryWrite(incoming);
            running.Wake();
            await WithinAsync(incoming.Entered.Task, call).ConfigureAwait(false);
            switch (options.Reply)
            {
                case HttpReply.Accepted:
                    _metrics.Count("accepted");
                    await WriteIdAsync(call, 202, id).ConfigureAwait(false);
                    break;
                case HttpReply.AfterAck:
                    await WithinAsync(incoming.Answer.Task, call).ConfigureAwait(false);
                    _metrics.Count("acknowledged");
                    await WriteIdAsync(call, 200, id).ConfigureAwait(false);
                    break;
                default:
                    await WriteAsync(call, await WithinAsync(incoming.Answer.Task, call).ConfigureAwait(false)).ConfigureAwait(false);
                    break;
            }
        }
        finally
        {
            _open.TryRemove(number, out _);
        }
    }

    private async ValueTask<JsonElement> PayloadAsync(ApiCall call)
    {
        if (options.Method == "GET")
        {
            var json = new PayloadWriter();
            var query = json.Begin();
            foreach (var (name, value) in call.Http.Request.Query)
            {
                query.WriteString(name, value.ToString());
            }

            return json.End();
        }

        var body = await call.ReadBytesAsync(options.MaxBodyBytes, typed: false).ConfigureAwait(false);
        if (options.Body == HttpBody.Text)
        {
            var text = new PayloadWriter();
            PayloadWriter.WriteText(text.Begin(), "text"u8, body);
            return text.End();
        }

        try
        {
            return JsonElement.Parse(body);
        }
        catch (JsonException error)
        {
            throw new ProblemException(Problem.Invalid("body", $"the body is no JSON: {error.Message}"));
        }
    }

    private static Task WriteIdAsync(ApiCall call, int status, EventId id) => call.WriteAsync(status, id, static (json, made) =>
    {
        json.WriteStartObject();
        json.WriteString("id"u8, made.ToString());
        json.WriteEndObject();
    });

    private async Task WriteAsync(ApiCall call, Event<JsonElement> answer)
    {
        try
        {
            var body = options.Answer?.Evaluate(answer) ?? answer.Data;
            var status = options.Status is { } expression ? StatusOf(expression.Evaluate(answer)) : 200;
            if (answer.Mock)
            {
                call.Http.Response.Headers["x-loom-mock"] = "true";
            }

            _metrics.Count("answered");
            await call.WriteAsync(status, body, static (json, value) => value.WriteTo(json)).ConfigureAwait(false);
        }
        catch (ItemException error)
        {
            throw new ProblemException(new Problem(ProblemCode.Internal, $"the event that came back makes no answer: {error.Message}"));
        }
    }

    private static int StatusOf(JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var status) && status is >= 200 and <= 599
        ? status
        : throw new ItemException("bad_status", $"status gives {value.GetRawText()}, which is no number from 200 to 599");

    private void Answer(in Event<JsonElement> e)
    {
        if (e.Headers.TryGetValue(RequestHeader, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && _open.TryRemove(number, out var request))
        {
            request.Answer.TrySetResult(e);
        }
        else
        {
            // Its request has been answered, has timed out, or is of an earlier run.
            _metrics.Count("answers_too_late");
        }
    }

    private async Task<T> WithinAsync<T>(Task<T> wanted, ApiCall call)
    {
        await WithinAsync((Task)wanted, call).ConfigureAwait(false);
        return await wanted.ConfigureAwait(false);
    }

    private async Task WithinAsync(Task wanted, ApiCall call)
    {
        try
        {
            await wanted.WaitAsync(options.TimeoutMs, _time, call.Gone).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            _metrics.Count("timeouts");
            throw new ProblemException(new Problem(ProblemCode.RequestTimeout, $"the system had no answer within {options.TimeoutMs.TotalSeconds:0.#} s", Status: 504));
        }
        catch (OperationCanceledException) when (!call.Gone.IsCancellationRequested)
        {
            throw Busy("the system stopped before there was an answer");
        }
    }

    private void Leave(ProcessContext running)
    {
        Interlocked.Decrement(ref _inWork);
        if (running.Stopping.IsCancellationRequested)
        {
            running.Wake();
        }
    }

    private void Abandon()
    {
        while (_requests.Reader.TryRead(out var request))
        {
            request.Entered.TrySetCanceled(CancellationToken.None);
        }

        foreach (var (_, request) in _open)
        {
            request.Answer.TrySetCanceled(CancellationToken.None);
        }
    }

    private ProblemException Busy(string why)
    {
        _metrics.Count("refused");
        Backoff backoff;
        lock (random)
        {
            backoff = Backoff.Of(1000, 1000, random);
        }

        return new ProblemException(new Problem(ProblemCode.PoolUnavailable, why, Backoff: backoff, Status: 503));
    }

    private sealed record Incoming(long Number, Event<JsonElement> Event)
    {
        public TaskCompletionSource Entered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public TaskCompletionSource<Event<JsonElement>> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
