using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Loom.Node.Engines;

/// <summary>Asks a local engine how it is and what it is. Never throws for what an engine answers or fails to answer.</summary>
public sealed class EngineClient : IDisposable
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(2);

    // No proxy: these are loopback addresses, and a proxy variable in the environment must not carry them away.
    private readonly HttpClient _http = new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        PooledConnectionLifetime = TimeSpan.FromSeconds(30),
    })
    {
        Timeout = Timeout.InfiniteTimeSpan,
        MaxResponseContentBufferSize = 1 << 20,
    };

    private readonly TimeProvider _time;

    public EngineClient(TimeProvider time) => _time = time;

    /// <summary>One health check: null when the status is below 400, else what is wrong.</summary>
    public async Task<string?> ProbeAsync(Uri url, CancellationToken cancellationToken)
    {
        var (status, _, trouble) = await GetAsync(url, cancellationToken).ConfigureAwait(false);
        return trouble ?? (status < 400 ? null : $"{url.AbsolutePath} answered {status}");
    }

    /// <summary>Progress of loading from a <c>{"status":"loading","progress":…}</c> answer, as percent; null when there is none.</summary>
    public async Task<int?> LoadPercentAsync(Uri health, CancellationToken cancellationToken)
    {
        var (_, body, _) = await GetAsync(health, cancellationToken).ConfigureAwait(false);
        return LoadPercent(body);
    }

    /// <summary>What <c>/health</c>, <c>/v1/models</c> and <c>/props</c> of the engine say, as far as it offers them.</summary>
    public async Task<EngineFacts> FactsAsync(Uri root, string healthPath, CancellationToken cancellationToken)
    {
        var health = await GetAsync(new Uri(root, healthPath), cancellationToken).ConfigureAwait(false);
        var models = await GetAsync(new Uri(root, "/v1/models"), cancellationToken).ConfigureAwait(false);
        var props = await GetAsync(new Uri(root, "/props"), cancellationToken).ConfigureAwait(false);
        return Facts(health.Status == 200 ? health.Body : "", models.Status == 200 ? models.Body : "", props.Status == 200 ? props.Body : "");
    }

    /// <summary>
    /// Has the engine make one token, so that the first client does not pay for what is done on first use. Null = it did, or it is an engine without
    /// completions (an embedder, say); else what is wrong.
    /// </summary>
    /// <param name="root">Address of the engine.</param>
    /// <param name="model">Name it knows its model by.</param>
    /// <param name="within">How long it may take.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<string?> WarmAsync(Uri root, string model, TimeSpan within, CancellationToken cancellationToken)
    {
        var name = JsonEncodedText.Encode(model).Value;
        using var deadline = new CancellationTokenSource(within, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            using var content = new StringContent($$"""{"model":"{{name}}","prompt":"a","max_tokens":1}""", Encoding.UTF8, "application/json");
            using var response = await _http.PostAsync(new Uri(root, "/v1/completions"), content, both.Token).ConfigureAwait(false);
            var body = await response.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false);
            var status = (int)response.StatusCode;
            // 4xx and 501 come from an engine that is alive and does not do this; 5xx from one that broke doing it.
            return status is < 500 or 501
                ? null
                : string.Create(CultureInfo.InvariantCulture, $"its first token failed: /v1/completions answered {status}: {Start(Encoding.UTF8.GetString(body))}");
        }
        catch (HttpRequestException e)
        {
            return $"its first token failed: {e.Message}";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return string.Create(CultureInfo.InvariantCulture, $"its first token did not come within {within.TotalSeconds:0} s");
        }
    }

    /// <summary>
    /// Whether the engine works now and how much it has done, by <c>/slots</c> and the token counters of <c>/metrics</c>; null when it offers neither.
    /// </summary>
    public async Task<EngineActivity?> ActivityAsync(Uri root, CancellationToken cancellationToken)
    {
        var slots = await GetAsync(new Uri(root, "/slots"), cancellationToken).ConfigureAwait(false);
        var metrics = await GetAsync(new Uri(root, "/metrics"), cancellationToken).ConfigureAwait(false);
        return EngineActivity.Read(slots.Status == 200 ? slots.Body : "", metrics.Status == 200 ? metrics.Body : "");
    }

    /// <summary>The percent in a health answer; <c>progress</c> is a share from 0 to 1.</summary>
    internal static int? LoadPercent(string body)
    {
        try
        {
            return Parse(body) is { } json && Number(json, "progress") is { } share ? (int)Math.Clamp(share * 100, 0, 100) : null;
        }
        catch (InvalidOperationException)
        {
            return null; // half a surrogate pair in a text: JSON by its grammar, no text
        }
    }

    /// <summary>Facts out of the three answers; what does not parse says nothing.</summary>
    internal static EngineFacts Facts(string health, string models, string props)
    {
        try
        {
            return Read(health, models, props);
        }
        catch (InvalidOperationException)
        {
            return EngineFacts.None; // as above
        }
    }

    private static EngineFacts Read(string health, string models, string props)
    {
        var facts = EngineFacts.None;
        if (Parse(health) is { } h)
        {
            facts = facts with { Version = Text(h, "version"), Mock = Flag(h, "mock") };
        }

        if (Parse(models) is { } list && list.TryGetProperty("data", out var data) && data.ValueKind == JsonValueKind.Array && data.GetArrayLength() > 0
            && data[0] is { ValueKind: JsonValueKind.Object } model)
        {
            JsonElement? meta = model.TryGetProperty("meta", out var m) && m.ValueKind == JsonValueKind.Object ? m : null;
            facts = facts with
            {
                Model = Text(model, "id"),
                Created = (long?)Number(model, "created"),
                Description = Text(model, "description") ?? (meta is { } d ? Text(d, "description") : null),
                Ctx = (int?)(Number(model, "ctx") ?? Number(model, "max_model_len") ?? (meta is { } c ? Number(c, "n_ctx") : null)),
                Capabilities = Capabilities(model),
                Mock = facts.Mock || Flag(model, "mock") || Flag(list, "mock"),
            };
        }

        if (Parse(props) is { } p)
        {
            facts = facts with
            {
                Version = facts.Version ?? Text(p, "build_info"),
                Ctx = p.TryGetProperty("default_generation_settings", out var g) && g.ValueKind == JsonValueKind.Object && Number(g, "n_ctx") is { } ctx
                    ? (int)ctx
                    : facts.Ctx,
            };
        }

        return facts;
    }

    public void Dispose() => _http.Dispose();

    private async Task<(int Status, string Body, string? Trouble)> GetAsync(Uri url, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(s_timeout, _time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            using var response = await _http.GetAsync(url, both.Token).ConfigureAwait(false);
            // Not ReadAsStringAsync: that one throws for a charset it does not know, and JSON is UTF-8 whatever the header says.
            var body = await response.Content.ReadAsByteArrayAsync(both.Token).ConfigureAwait(false);
            return ((int)response.StatusCode, Encoding.UTF8.GetString(body).TrimStart('\uFEFF'), null);
        }
        catch (HttpRequestException e)
        {
            return (0, "", $"{url.Authority} cannot be reached: {e.Message}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return (0, "", string.Create(CultureInfo.InvariantCulture, $"{url.AbsolutePath} gave no answer within {s_timeout.TotalSeconds:0} s"));
        }
    }

    private static JsonElement? Parse(string body)
    {
        if (body.Length == 0)
        {
            return null;
        }

        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Start(string body) => body.Length > 200 ? string.Concat(body.AsSpan(0, 200), "...") : body;

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 } text ? text : null;

    private static double? Number(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number)
            && Math.Abs(number) < 1e15
            ? number
            : null;

    private static bool Flag(JsonElement json, string name) => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.True;

    // Either a list of names, or an object: true gives the name, a text gives name:text, false says nothing.
    private static ImmutableArray<string> Capabilities(JsonElement model)
    {
        if (!model.TryGetProperty("capabilities", out var told))
        {
            return [];
        }

        return told.ValueKind switch
        {
            JsonValueKind.Array => [.. told.EnumerateArray().Where(v => v.ValueKind == JsonValueKind.String).Select(v => v.GetString()!)],
            JsonValueKind.Object =>
            [
                .. told.EnumerateObject()
                    .Where(c => c.Value.ValueKind is JsonValueKind.True or JsonValueKind.String)
                    .Select(c => c.Value.ValueKind == JsonValueKind.True ? c.Name : $"{c.Name}:{c.Value.GetString()}"),
            ],
            _ => [],
        };
    }
}
