using System.Buffers;
using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Harness.Architecture;
using Loom.Harness.Telemetry;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Alerts;

/// <summary>How a webhook is doing.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Sent">Messages the receiver took.</param>
/// <param name="Lost">Messages that were given up: after five attempts, or because the queue was full.</param>
/// <param name="Waiting">Messages in the queue.</param>
/// <param name="LastError">Why the newest attempt failed; null when it did not.</param>
internal sealed record WebhookStatus(string Name, long Sent, long Lost, int Waiting, string? LastError);

/// <summary>
/// Tells one receiver of alerts, in order: a queue of <see cref="MostWaiting"/>, <see cref="Attempts"/> attempts each with growing pauses. Whatever becomes of it, the system goes on.
/// </summary>
internal sealed partial class Webhook : IAsyncDisposable
{
    /// <summary>Carries <c>sha256=</c> and the HMAC-SHA256 of the body's bytes under the webhook's secret, in small hex.</summary>
    public const string SignatureHeader = "X-Loom-Signature";

    /// <summary>Carries the message's id, the same in every attempt.</summary>
    public const string DeliveryHeader = "X-Loom-Delivery";

    public const int Attempts = 5;
    public const int MostWaiting = 100;

    private static readonly TimeSpan s_longestAttempt = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_firstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_lastWords = TimeSpan.FromSeconds(2);

    private readonly Channel<Message> _queue = Channel.CreateBounded<Message>(new BoundedChannelOptions(MostWaiting) { SingleReader = true });
    private readonly WebhookPlan _plan;
    private readonly SystemPlan _system;
    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly string _run;
    private readonly Action<AlertChange> _delivered;
    private readonly BackgroundLoop _loop;
    private long _number;
    private long _sent;
    private long _lost;
    private volatile string? _lastError;

    /// <param name="plan">Where to.</param>
    /// <param name="system">Who speaks.</param>
    /// <param name="http">Transport that follows no redirects.</param>
    /// <param name="run">The run, for ids of messages.</param>
    /// <param name="time">Clock.</param>
    /// <param name="delivered">Told of each change the receiver has taken, in order; must not throw.</param>
    /// <param name="log">Told of what could not be sent.</param>
    public Webhook(WebhookPlan plan, SystemPlan system, HttpClient http, string run, TimeProvider time, Action<AlertChange> delivered, ILogger log)
    {
        (_plan, _system, _http, _run, _time, _delivered, _log) = (plan, system, http, run, time, delivered, log);
        _loop = BackgroundLoop.Start($"webhook {plan.Name}", SendAllAsync, log);
    }

    public string Name => _plan.Name;

    public WebhookStatus Status => new(_plan.Name, Interlocked.Read(ref _sent), Interlocked.Read(ref _lost), _queue.Reader.Count, _lastError);

    /// <summary>Puts a change into the queue; one that finds it full is lost and counted.</summary>
    public void Tell(AlertChange change)
    {
        var id = string.Create(CultureInfo.InvariantCulture, $"{_system.Name}-{_run}-{_plan.Name}-{++_number}");
        if (!_queue.Writer.TryWrite(new Message(id, change, BodyOf(id, change))))
        {
            Interlocked.Increment(ref _lost);
            LogFull(_log, _plan.Name, MostWaiting);
        }
    }

    /// <summary>Sends what waits, for two seconds at most, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        try
        {
            await _loop.Completion.WaitAsync(s_lastWords, _time).ConfigureAwait(false);
        }
        catch (Exception e) when (e is TimeoutException || _loop.Completion.IsCompleted)
        {
            LogLeft(_log, _plan.Name, _queue.Reader.Count + 1);
        }

        await _loop.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>The signature of a body.</summary>
    public static string Sign(string secret, ReadOnlySpan<byte> body) => "sha256=" + Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), body));

    private ReadOnlyMemory<byte> BodyOf(string id, AlertChange change)
    {
        var body = new ArrayBufferWriter<byte>(512);
        using var json = new Utf8JsonWriter(body);
        json.WriteStartObject();
        json.WriteString("id", id);
        json.WriteString("status", change.Fires ? "firing" : "resolved");
        json.WriteString("alert", change.Rule.Name);
        json.WriteString("severity", SystemMetrics.Word(change.Rule.Severity));
        json.WriteString("expr", change.Rule.Condition.Text);
        json.WriteString("system", _system.Name);
        json.WriteString("version", _system.Version);
        json.WriteString("since", change.Since);
        json.WriteString("time", change.At);
        if (!change.Fires)
        {
            json.WriteNumber("times", change.Times);
            if (change.Reason is { } reason)
            {
                json.WriteString("reason", reason);
            }
        }

        json.WriteEndObject();
        json.Flush();
        return body.WrittenMemory;
    }

    private async Task SendAllAsync(CancellationToken ct)
    {
        await foreach (var message in _queue.Reader.ReadAllAsync(ct).ConfigureAwait(false))
        {
            await SendAsync(message, ct).ConfigureAwait(false);
        }
    }

    private async Task SendAsync(Message message, CancellationToken ct)
    {
        for (var attempt = 1; ; attempt++)
        {
            _lastError = await TryAsync(message, ct).ConfigureAwait(false);
            if (_lastError is null)
            {
                _delivered(message.Change);
                Interlocked.Increment(ref _sent);
                return;
            }

            if (attempt == Attempts)
            {
                Interlocked.Increment(ref _lost);
                LogGivenUp(_log, _plan.Name, message.Id, Attempts, _lastError);
                return;
            }

            await Task.Delay(s_firstPause * (1 << (attempt - 1)), _time, ct).ConfigureAwait(false);
        }
    }

    // Why it failed, without the address, which may hold a secret; null when the receiver took it.
    private async Task<string?> TryAsync(Message message, CancellationToken ct)
    {
        using var limit = new CancellationTokenSource(s_longestAttempt, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, _plan.Url) { Content = new ReadOnlyMemoryContent(message.Body) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
            request.Headers.Add(DeliveryHeader, message.Id);
            if (_plan.Secret is { } secret)
            {
                request.Headers.Add(SignatureHeader, Sign(secret, message.Body.Span));
            }

            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, both.Token).ConfigureAwait(false);
            return response.IsSuccessStatusCode ? null : string.Create(CultureInfo.InvariantCulture, $"the receiver answered {(int)response.StatusCode}");
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return string.Create(CultureInfo.InvariantCulture, $"no answer within {s_longestAttempt.TotalSeconds:0} s");
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            // Whatever it is: one message is not worth the loop.
            return e.Message;
        }
    }

    [LoggerMessage(EventId = 4610, Level = LogLevel.Error, Message = "webhook {Webhook} was not told {Message}: {Attempts} attempts failed, the last because {Why}")]
    private static partial void LogGivenUp(ILogger logger, string webhook, string message, int attempts, string why);

    [LoggerMessage(EventId = 4611, Level = LogLevel.Error, Message = "webhook {Webhook} has {Most} messages waiting; another one was lost")]
    private static partial void LogFull(ILogger logger, string webhook, int most);

    [LoggerMessage(EventId = 4612, Level = LogLevel.Warning, Message = "webhook {Webhook} was not told {Count} messages before the end")]
    private static partial void LogLeft(ILogger logger, string webhook, int count);

    private sealed record Message(string Id, AlertChange Change, ReadOnlyMemory<byte> Body);
}
