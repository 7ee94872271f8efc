using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Loom.Node.Mock;

/// <summary>
/// A double of an inference engine: the routes of the embedded engine, deterministic text, faults on request, and a record of all it received.
/// It exists so that the gateway can be tested and measured without a model; nothing else ever falls back to it.
/// </summary>
public sealed class MockEngine : IAsyncDisposable
{
    private const int MaxLoggedBody = 4096;
    private readonly WebApplication _app;
    private readonly MockEngineOptions _options;
    private readonly TimeProvider _time;
    private readonly MockSlots _slots;
    private readonly MockGates _gates = new();
    private readonly MockRequestLog _log;
    private readonly MockGeneration _generation;
    private readonly long _started;

    private MockEngine(MockEngineOptions options, TimeProvider time, Action crash)
    {
        _options = options;
        _time = time;
        _slots = new MockSlots(options.Slots);
        _log = new MockRequestLog(time);
        _generation = new MockGeneration(options, time, _slots, _gates, _log, crash);
        _started = time.GetTimestamp();
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.AllowSynchronousIO = false;
            kestrel.Limits.MinRequestBodyDataRate = null;
            kestrel.Limits.MinResponseDataRate = null;
            kestrel.Limits.MaxRequestBodySize = null;
            kestrel.Listen(IPAddress.Loopback, options.Port, listen => listen.Protocols = HttpProtocols.Http1);
        });
        builder.Services.AddRoutingCore();
        _app = builder.Build();
        _app.Run(HandleAsync);
    }

    /// <summary>Address it answers on, <c>http://127.0.0.1:PORT</c>.</summary>
    public string Url { get; private set; } = "";

    /// <summary>Starts the engine.</summary>
    /// <param name="options">How it behaves.</param>
    /// <param name="time">Clock of all pauses.</param>
    /// <param name="crash">Ends the hosting process at once; called by the fault <c>crash</c>.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="IOException">The port is taken.</exception>
    public static async Task<MockEngine> StartAsync(MockEngineOptions options, TimeProvider time, Action crash, CancellationToken cancellationToken)
    {
        var engine = new MockEngine(options, time, crash);
        await engine._app.StartAsync(cancellationToken).ConfigureAwait(false);
        engine.Url = engine._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return engine;
    }

    /// <summary>Opens a gate; the in-process form of <c>POST /mock/gates/NAME/release</c>.</summary>
    public void Release(string gate) => _gates.Release(gate);

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync().ConfigureAwait(false);
        _slots.Dispose();
    }

    private bool Loading => _time.GetElapsedTime(_started) < _options.Load;

    private Task HandleAsync(HttpContext context)
    {
        var path = context.Request.Path.Value ?? "";
        var post = HttpMethods.IsPost(context.Request.Method);
        return (path, post) switch
        {
            ("/health", false) => HealthAsync(context),
            ("/slots", false) => SlotsAsync(context),
            ("/metrics", false) => MetricsAsync(context),
            ("/mock/requests", false) => RequestsAsync(context),
            (_, true) when path.StartsWith("/mock/gates/", StringComparison.Ordinal) && path.EndsWith("/release", StringComparison.Ordinal) => ReleaseAsync(context, path),
            ("/v1/models", false) => ModelsAsync(context),
            ("/v1/chat/completions", true) => InferAsync(context, path),
            ("/v1/completions", true) => InferAsync(context, path),
            ("/v1/embeddings", true) => InferAsync(context, path),
            (_, true) when _options.Routes.Any(r => MockRoutes.PathOf(r) == path) => InferAsync(context, path),
            _ => MockWire.ErrorAsync(context, 404, "not_found", $"no route {context.Request.Method} {path}"),
        };
    }

    private Task HealthAsync(HttpContext context)
    {
        if (!Loading)
        {
            return MockWire.JsonAsync(context, 200, """{"status":"ok","mock":true}""");
        }

        var share = Math.Min(1, _time.GetElapsedTime(_started) / _options.Load).ToString("0.##", CultureInfo.InvariantCulture);
        return MockWire.JsonAsync(context, 503, $$"""{"status":"loading","progress":{{share}},"mock":true}""");
    }

    private Task ModelsAsync(HttpContext context) => MockWire.JsonAsync(
        context,
        200,
        $$"""{"object":"list","data":[{"id":{{MockWire.Quote(_options.Model)}},"object":"model","created":0,"owned_by":"loom-mock","description":"mock engine: words without a model","capabilities":[{{string.Join(',', Capabilities.Select(MockWire.Quote))}}],"meta":{"n_ctx":{{_options.Ctx}} } }],"mock":true}""");

    private IEnumerable<string> Capabilities => ["chat", "completions", "embeddings", .. _options.Routes];

    private Task SlotsAsync(HttpContext context)
    {
        var items = _slots.View().Select(s => $$"""{"id":{{s.Id}},"is_processing":{{(s.Busy ? "true" : "false")}},"n_cached":{{s.Cached}}}""");
        return MockWire.JsonAsync(context, 200, "[" + string.Join(',', items) + "]");
    }

    private Task MetricsAsync(HttpContext context)
    {
        var totals = _log.Totals;
        context.Response.ContentType = "text/plain; version=0.0.4";
        return context.Response.WriteAsync(
            string.Create(
                CultureInfo.InvariantCulture,
                $"# TYPE llamacpp:tokens_predicted_total counter\nllamacpp:tokens_predicted_total {totals.Tokens}\n# TYPE llamacpp:requests_processing gauge\nllamacpp:requests_processing {_slots.Total - _slots.Free}\n"),
            context.RequestAborted);
    }

    private Task RequestsAsync(HttpContext context)
    {
        var requests = JsonSerializer.Serialize(_log.View(), MockJson.Default.MockRequestArray);
        var totals = _log.Totals;
        return MockWire.JsonAsync(context, 200, $$"""{"received":{{totals.Received}},"cancelled":{{totals.Cancelled}},"tokens":{{totals.Tokens}},"requests":{{requests}},"mock":true}""");
    }

    private Task ReleaseAsync(HttpContext context, string path)
    {
        _gates.Release(path["/mock/gates/".Length..^"/release".Length]);
        return MockWire.JsonAsync(context, 200, """{"released":true,"mock":true}""");
    }

    private async Task InferAsync(HttpContext context, string path)
    {
        MockFault fault;
        try
        {
            fault = context.Request.Headers.TryGetValue("x-mock-fault", out var header) ? MockFault.Parse(header.ToString()) : _options.Fault;
        }
        catch (FormatException e)
        {
            await MockWire.ErrorAsync(context, 400, "invalid_value", e.Message).ConfigureAwait(false);
            return;
        }

        if (Loading || fault.Kind == MockFaultKind.LieAboutHealth)
        {
            await MockWire.ErrorAsync(context, 503, "unavailable", Loading ? "loading model" : "mock fault: healthy only by its own word").ConfigureAwait(false);
            return;
        }

        var body = await ReadBodyAsync(context).ConfigureAwait(false);
        var request = _log.Add(
            path,
            context.Request.Headers["x-request-id"].FirstOrDefault(),
            context.Request.Headers.Authorization.FirstOrDefault(),
            Encoding.UTF8.GetString(body.AsSpan(0, Math.Min(body.Length, MaxLoggedBody))));
        MockPrompt prompt;
        try
        {
            prompt = MockPrompt.Parse(body, path, _options);
        }
        catch (MockRefusal refusal)
        {
            request.State = "failed";
            await MockWire.ErrorAsync(context, 400, refusal.Code, refusal.Message).ConfigureAwait(false);
            return;
        }

        var gate = context.Request.Headers["x-mock-gate"].FirstOrDefault();
        await _generation.RunAsync(context, request, prompt, fault, gate).ConfigureAwait(false);
    }

    private static async Task<byte[]> ReadBodyAsync(HttpContext context)
    {
        var reader = context.Request.BodyReader;
        while (true)
        {
            var read = await reader.ReadAsync(context.RequestAborted).ConfigureAwait(false);
            if (read.IsCompleted)
            {
                var bytes = read.Buffer.ToArray();
                reader.AdvanceTo(read.Buffer.End);
                return bytes;
            }

            reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }
}
