using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Loom.SystemTests.Binaries;

/// <summary>A web server that gives a file honestly, or cuts, lies and changes it as told.</summary>
internal sealed class LyingServer : IAsyncDisposable
{
    private readonly WebApplication _app;

    private LyingServer(WebApplication app) => _app = app;

    public Uri Root { get; private set; } = new("http://127.0.0.1/");

    /// <summary>What every path gives, unless <see cref="Files"/> holds something.</summary>
    public byte[] Content { get; set; } = [];

    /// <summary>Files by path, such as <c>/v1/tool</c>; once there is one, other paths are not found.</summary>
    public ConcurrentDictionary<string, byte[]> Files { get; } = new();

    public string? ETag { get; set; } = "\"one\"";

    /// <summary>Answers ranges.</summary>
    public bool Ranges { get; set; } = true;

    /// <summary>Each entry cuts one request after so many bytes of body.</summary>
    public ConcurrentQueue<int> Cuts { get; } = new();

    /// <summary>Decides by path and length of the body whether, and after how many bytes, an answer is cut.</summary>
    public Func<string, int, int?> CutBody { get; set; } = (_, _) => null;

    /// <summary>Decides by path and length whether, and after how many bytes, an answer falls silent until the client is gone.</summary>
    public Func<string, int, int?> HoldAfter { get; set; } = (_, _) => null;

    /// <summary>Called after an answer was cut.</summary>
    public Action AfterCut { get; set; } = () => { };

    /// <summary>Answers that come before the file, in order.</summary>
    public ConcurrentQueue<Func<HttpContext, Task>> Instead { get; } = new();

    /// <summary>Called before each answer.</summary>
    public Action<int> BeforeAnswer { get; set; } = _ => { };

    /// <summary>Sees every request.</summary>
    public Action<HttpContext> OnRequest { get; set; } = _ => { };

    /// <summary>Further headers of every answer.</summary>
    public ConcurrentDictionary<string, string> Headers { get; } = new();

    public ConcurrentQueue<string> Requests { get; } = new();

    /// <summary>Method and path of every request.</summary>
    public ConcurrentQueue<string> Asked { get; } = new();

    public static async Task<LyingServer> StartAsync(byte[] content)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().UseUrls("http://127.0.0.1:0");
        builder.Services.AddLogging();
        var server = new LyingServer(builder.Build()) { Content = content };
        server._app.Run(server.AnswerAsync);
        await server._app.StartAsync();
        server.Root = new Uri(server._app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First() + "/");
        return server;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        var range = context.Request.Headers.Range.ToString();
        Requests.Enqueue(range);
        Asked.Enqueue($"{context.Request.Method} {context.Request.Path}");
        BeforeAnswer(Requests.Count);
        OnRequest(context);
        foreach (var (name, value) in Headers)
        {
            context.Response.Headers[name] = value;
        }

        if (Instead.TryDequeue(out var instead))
        {
            await instead(context);
            return;
        }

        var content = Content;
        if (!Files.IsEmpty && !Files.TryGetValue(context.Request.Path.Value ?? "", out content))
        {
            context.Response.StatusCode = 404;
            return;
        }

        var from = 0;
        if (Ranges && range.StartsWith("bytes=", StringComparison.Ordinal) && context.Request.Headers.IfRange.ToString() == ETag)
        {
            from = int.Parse(range["bytes=".Length..].TrimEnd('-'));
            context.Response.StatusCode = 206;
            context.Response.Headers.ContentRange = $"bytes {from}-{content.Length - 1}/{content.Length}";
        }

        context.Response.ContentType = "application/octet-stream";
        context.Response.ContentLength = content.Length - from;
        if (ETag is not null)
        {
            context.Response.Headers.ETag = ETag;
        }

        if (Cuts.TryDequeue(out var cut) || (CutBody(context.Request.Path.Value ?? "", content.Length - from) is { } chosen && (cut = chosen) >= 0))
        {
            await context.Response.Body.WriteAsync(content.AsMemory(from, cut));
            await context.Response.Body.FlushAsync();
            AfterCut();
            context.Abort();
            return;
        }

        if (HoldAfter(context.Request.Path.Value ?? "", content.Length - from) is { } held)
        {
            await context.Response.Body.WriteAsync(content.AsMemory(from, held));
            await context.Response.Body.FlushAsync();
            await Task.Delay(Timeout.Infinite, context.RequestAborted).ContinueWith(_ => { });
            return;
        }

        if (!HttpMethods.IsHead(context.Request.Method))
        {
            await context.Response.Body.WriteAsync(content.AsMemory(from));
        }
    }
}
