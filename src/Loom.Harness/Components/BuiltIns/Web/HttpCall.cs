using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Net.Http.Headers;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Models;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Web;

/// <summary>Settings of <c>http_call</c>.</summary>
internal sealed record HttpCallOptions
{
    [Description("The address, a template, for instance https://api.example.com/users/{{ $.id }}. Its host must be one of policy.security.allow_hosts.")]
    public required Template Url { get; init; }

    [AllowedValues("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")]
    [Description("The method.")]
    public string Method { get; init; } = "GET";

    [Description("Request headers, templates; write secrets as ${VARIABLE}.")]
    public IReadOnlyDictionary<string, Template> Headers { get; init; } = new Dictionary<string, Template>();

    [Description("What is sent, an expression whose JSON is the body; left out: the payload for POST, PUT and PATCH, nothing for the others.")]
    public Expression? Body { get; init; }

    [Description("Field of the payload that takes the answer, {\"status\", \"headers\", \"body\"}; a body that is JSON stands there as JSON, another as text. Empty: the answer alone becomes the payload.")]
    public string Into { get; init; } = "response";

    [Description("Statuses besides 2xx that are answers and no errors, for instance 404.")]
    public IReadOnlyList<int> Accept { get; init; } = [];

    [Description("Longest exchange.")]
    public TimeSpan TimeoutMs { get; init; } = TimeSpan.FromSeconds(30);

    [Range(0, 1 << 30)]
    [Description("Largest answer, in bytes.")]
    public int MaxResponseBytes { get; init; } = 4 << 20;
}

/// <summary>One request for each event.</summary>
[Component("http_call", Type = ComponentType.Transformer, SideEffects = true,
    Summary = "Sends one HTTP request for each event and adds the answer to the payload. Redirects are answers: they are not followed. A repeated event is sent again.")]
internal sealed class HttpCall(HttpCallOptions options, HttpClient http) : Transformer<JsonElement, JsonElement>
{
    private Outgoing _outgoing = null!;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _outgoing = new Outgoing(http, ctx, options.TimeoutMs, options.MaxResponseBytes);
        if (options.Url.IsLiteral)
        {
            _outgoing.Address(options.Url.Text);
        }

        return default;
    }

    /// <inheritdoc />
    protected override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(new HttpMethod(options.Method), _outgoing.Address(options.Url.Render(e)));
        if (BodyOf(e) is { } body)
        {
            request.Content = new ByteArrayContent(JsonMarshal.GetRawUtf8Value(body).ToArray());
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }

        Outgoing.SetHeaders(request, options.Headers, e);
        var answer = await _outgoing.SendAsync(request, ct).ConfigureAwait(false);
        if (!answer.IsSuccess && !options.Accept.Contains(answer.Status))
        {
            throw Outgoing.Refusal(request, answer);
        }

        var json = JsonOf(answer);
        var made = e.Derive(PayloadFields.Add(e.Data, options.Into, (answer, json), Write));
        var mock = answer.Mock || (json is { ValueKind: JsonValueKind.Object } found && found.TryGetProperty("mock"u8, out var mark) && mark.ValueKind == JsonValueKind.True);
        await output.SendAsync(mock ? made.AsMock() : made, ct).ConfigureAwait(false);
    }

    private JsonElement? BodyOf(in Event<JsonElement> e) =>
        options.Body is { } body ? body.Evaluate(e) : options.Method is "POST" or "PUT" or "PATCH" ? e.Data : null;

    private static JsonElement? JsonOf(Answer answer)
    {
        if (answer.MediaType is not { } type || !(type.EndsWith("/json", StringComparison.OrdinalIgnoreCase) || type.EndsWith("+json", StringComparison.OrdinalIgnoreCase)))
        {
            return null;
        }

        try
        {
            return JsonElement.Parse(answer.Body);
        }
        catch (JsonException)
        {
            // It says that it is JSON and is none: text, then.
            return null;
        }
    }

    private static void Write(Utf8JsonWriter json, (Answer Answer, JsonElement? Json) state)
    {
        json.WriteStartObject();
        json.WriteNumber("status"u8, state.Answer.Status);
        json.WriteStartObject("headers"u8);
        foreach (var (name, value) in state.Answer.Headers)
        {
            json.WriteString(name, value);
        }

        json.WriteEndObject();
        json.WritePropertyName("body"u8);
        if (state.Json is { } body)
        {
            body.WriteTo(json);
        }
        else
        {
            json.WriteStringValue(Encoding.UTF8.GetString(state.Answer.Body));
        }

        json.WriteEndObject();
    }
}
