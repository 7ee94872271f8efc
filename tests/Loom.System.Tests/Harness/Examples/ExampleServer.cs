using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Shouldly;

namespace Loom.SystemTests.Harness.Examples;

/// <summary>The server examples speak to: it expects the requests they list, each once, and answers as they say; anything else is gone for good.</summary>
internal sealed class ExampleServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly IReadOnlyList<JsonElement> _expected;
    private readonly ConcurrentQueue<(string Line, IHeaderDictionary Headers, string Body)> _got = [];

    private ExampleServer(WebApplication app, IReadOnlyList<JsonElement> expected) => (_app, _expected) = (app, expected);

    public string Address => _app.Urls.Single();

    public static async Task<ExampleServer> StartAsync(IReadOnlyList<JsonElement> expected)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var server = new ExampleServer(app, expected);
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        return server;
    }

    /// <summary>Every request came once, with its headers and body, and no other.</summary>
    public void Check()
    {
        _got.Select(g => g.Line).ShouldBe(_expected.Select(LineOf), ignoreOrder: true);
        foreach (var expected in _expected)
        {
            var got = _got.Single(g => g.Line == LineOf(expected));
            if (expected.TryGetProperty("body", out var body))
            {
                JsonElement.DeepEquals(JsonElement.Parse(got.Body), body).ShouldBeTrue(got.Body);
            }

            foreach (var header in expected.TryGetProperty("headers", out var headers) ? headers.EnumerateObject() : default)
            {
                got.Headers[header.Name].ToString().ShouldBe(header.Value.GetString());
            }
        }
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();

    private static string LineOf(JsonElement expected) => expected.GetProperty("got").GetString()!;

    private async Task AnswerAsync(HttpContext http)
    {
        using var reader = new StreamReader(http.Request.Body);
        var line = $"{http.Request.Method} {http.Request.Path}";
        _got.Enqueue((line, new HeaderDictionary(http.Request.Headers.ToDictionary()), await reader.ReadToEndAsync()));
        var expected = _expected.FirstOrDefault(e => LineOf(e) == line);
        http.Response.StatusCode = expected.ValueKind == JsonValueKind.Undefined ? 410 : 200;
        if (expected.ValueKind != JsonValueKind.Undefined && expected.TryGetProperty("answer", out var answer))
        {
            http.Response.ContentType = "application/json";
            await http.Response.WriteAsync(answer.GetRawText());
        }
    }
}
