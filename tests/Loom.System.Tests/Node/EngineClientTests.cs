using Loom.Node.Engines;
using Loom.Node.Mock;
using Loom.SystemTests.Binaries;
using Loom.Testing;
using Microsoft.AspNetCore.Http;
using Shouldly;
using Xunit;
using MockEngine = Loom.Node.Mock.MockEngine;

namespace Loom.SystemTests.Node;

public sealed class EngineClientTests
{
    [Fact(Timeout = 240_000)]
    public async Task Ask_UnknownCharset_IsReadAsUtf8()
    {
        await using var server = await LyingServer.StartAsync([]);
        server.Instead.Enqueue(Loading);
        server.Instead.Enqueue(Loading);
        using var client = new EngineClient(TimeProvider.System);
        (await client.LoadPercentAsync(new Uri(server.Root, "health"), TestContext.Current.CancellationToken)).ShouldBe(40);
        (await client.ProbeAsync(new Uri(server.Root, "health"), TestContext.Current.CancellationToken)).ShouldBe("/health answered 503");
    }

    [Fact(Timeout = 240_000)]
    public async Task Ask_MockEngineLoads_SaysHowFarItIs()
    {
        var time = new ManualTimeProvider();
        await using var mock = await MockEngine.StartAsync(new MockEngineOptions { Load = TimeSpan.FromSeconds(10) }, time, () => { },
            TestContext.Current.CancellationToken);
        time.Advance(TimeSpan.FromSeconds(4));
        using var client = new EngineClient(TimeProvider.System);
        (await client.LoadPercentAsync(new Uri(mock.Url + "/health"), TestContext.Current.CancellationToken)).ShouldBe(40);
    }

    private static Task Loading(HttpContext context)
    {
        context.Response.StatusCode = 503;
        context.Response.ContentType = "application/json; charset=klingon";
        return context.Response.WriteAsync("""{"status":"loading","progress":0.4}""");
    }
}
