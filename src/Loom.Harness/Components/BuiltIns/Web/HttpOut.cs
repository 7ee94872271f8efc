using System.Buffers;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Net.Http.Headers;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sinks;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>Settings of <c>http_out</c>.</summary>
internal sealed record HttpOutOptions
{
    [Description("The address, a template. Its host must be one of policy.security.allow_hosts. With batching it is made of the batch's first event.")]
    public required Template Url { get; init; }

    [AllowedValues("POST", "PUT", "PATCH")]
    [Description("The method.")]
    public string Method { get; init; } = "POST";

    [Description("Request headers, templates; write secrets as ${VARIABLE}. With batching they are made of the batch's first event.")]
    public IReadOnlyDictionary<string, Template> Headers { get; init; } = new Dictionary<string, Template>();

    [Description("What is sent of an event: data, the payload alone (a mock event's with \"mock\": true), or event, an object with id, key, time, mock, headers and data.")]
    public EventFormat Format { get; init; }

    [Description("Longest exchange.")]
    public TimeSpan TimeoutMs { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Sends events to a server.</summary>
[Component("http_out", Type = ComponentType.Sink, SideEffects = true,
    Summary = "Sends each event as JSON, with the header Idempotency-Key: its id, so that a server that heeds it takes a repeated event once. With batching a request holds a JSON list, and the key names its first and last event.")]
internal sealed class HttpOut(HttpOutOptions options, HttpClient http) : Sink<JsonElement>
{
    // Enough of an answer to tell what is wrong.
    private const int AnswerBytes = 1 << 20;

    private Outgoing _outgoing = null!;

    /// <inheritdoc />
    protected internal override bool HandlesBatches => true;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _outgoing = new Outgoing(http, ctx, options.TimeoutMs, AnswerBytes);
        if (options.Url.IsLiteral)
        {
            _outgoing.Address(options.Url.Text);
        }

        return default;
    }

    /// <inheritdoc />
    protected override async ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
    {
        var body = new ArrayBufferWriter<byte>(1024);
        EventJson.Write(e, options.Format, body);
        await SendAsync(e, e.Id.ToString(), body.WrittenMemory, ct).ConfigureAwait(false);
    }

    /// <inheritdoc />
    protected override async ValueTask OnBatchAsync(Batch<JsonElement> batch, BatchEmitter<JsonElement> output, CancellationToken ct)
    {
        var body = new ArrayBufferWriter<byte>(4096);
        body.Write("["u8);
        for (var i = 0; i < batch.Count; i++)
        {
            body.Write(i > 0 ? ","u8 : ""u8);
            EventJson.Write(batch[i], options.Format, body);
        }

        body.Write("]"u8);
        await SendAsync(batch[0], $"{batch[0].Id}..{batch[^1].Id}", body.WrittenMemory, ct).ConfigureAwait(false);
    }

    private async Task SendAsync(Event<JsonElement> first, string id, ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(new HttpMethod(options.Method), _outgoing.Address(options.Url.Render(first))) { Content = new ReadOnlyMemoryContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation("Idempotency-Key", HeaderText(id));
        Outgoing.SetHeaders(request, options.Headers, first);
        var answer = await _outgoing.SendAsync(request, ct).ConfigureAwait(false);
        if (!answer.IsSuccess)
        {
            throw Outgoing.Refusal(request, answer);
        }
    }

    // An id may hold a file's name; a header holds visible ASCII.
    private static string HeaderText(string id) => id.AsSpan().ContainsAnyExceptInRange('!', '~') ? Uri.EscapeDataString(id) : id;
}
