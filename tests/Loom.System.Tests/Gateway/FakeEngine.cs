using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Loom.SystemTests.Gateway;

/// <summary>An engine whose every answer a test writes by hand. It records what reached it and when a request was given up.</summary>
internal sealed class FakeEngine : IAsyncDisposable
{
    private readonly WebApplication _app;

    private FakeEngine(WebApplication app) => _app = app;

    /// <summary>How it answers; may wait on gates.</summary>
    public Func<Exchange, Task> Answer { get; set; } = e => e.JsonAsync("""{"ok":true}""");

    /// <summary>Requests in the order of their arrival.</summary>
    public ConcurrentQueue<Exchange> Seen { get; } = new();

    /// <summary>Base of the OpenAI routes.</summary>
    public string Url => new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()) + "v1";

    public static async Task<FakeEngine> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.WebHost.ConfigureKestrel(k => k.Limits.MaxRequestBodySize = null);
        var app = builder.Build();
        var engine = new FakeEngine(app);
        app.Run(engine.HandleAsync);
        await app.StartAsync();
        return engine;
    }

    /// <summary>Drops all connections and closes the port.</summary>
    public async Task KillAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _app.StopAsync(now.Token);
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    /// <summary>What it says of its slots, as JSON; null = it has no such route.</summary>
    public Func<string?> Slots { get; set; } = static () => null;

    private async Task HandleAsync(HttpContext http)
    {
        if (http.Request.Path == "/slots")
        {
            var slots = Slots();
            http.Response.StatusCode = slots is null ? 404 : 200;
            await http.Response.WriteAsync(slots ?? "");
            return;
        }

        var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        var exchange = new Exchange(http, body.ToArray());
        Seen.Enqueue(exchange);
        await Answer(exchange);
    }
}

/// <summary>One request at the fake engine.</summary>
internal sealed class Exchange
{
    private readonly TaskCompletionSource _aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public Exchange(HttpContext http, byte[] body)
    {
        Http = http;
        Body = body;
        Path = http.Request.Path;
        Headers = http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase);
        http.RequestAborted.Register(() => _aborted.TrySetResult());
    }

    public HttpContext Http { get; }

    public byte[] Body { get; }

    public string Text => System.Text.Encoding.UTF8.GetString(Body);

    public string Path { get; }

    public IReadOnlyDictionary<string, string> Headers { get; }

    /// <summary>Ends when the gateway gives the request up.</summary>
    public Task Aborted => _aborted.Task;

    public async Task JsonAsync(string json, int status = 200)
    {
        Http.Response.StatusCode = status;
        Http.Response.ContentType = "application/json";
        await Http.Response.WriteAsync(json);
    }

    public async Task EventAsync(string data)
    {
        Http.Response.ContentType ??= "text/event-stream";
        await Http.Response.WriteAsync($"data: {data}\n\n");
        await Http.Response.Body.FlushAsync();
    }
}
