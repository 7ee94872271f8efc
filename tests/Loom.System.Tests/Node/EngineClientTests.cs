using Loom.Node.Engines;
using Loom.SystemTests.Binaries;
using Microsoft.AspNetCore.Http;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Node;

public sealed class EngineClientTests
{
    [Fact(Timeout = 60_000)]
    public async Task Ask_UnknownCharset_IsReadAsUtf8()
    {
        await using var server = await LyingServer.StartAsync([]);
        server.Instead.Enqueue(Loading);
        server.Instead.Enqueue(Loading);
        using var client = new EngineClient(TimeProvider.System);
        (await client.LoadPercentAsync(new Uri(server.Root, "health"), TestContext.Current.CancellationToken)).ShouldBe(40);
        (await client.ProbeAsync(new Uri(server.Root, "health"), TestContext.Current.CancellationToken)).ShouldBe("/health answered 503");
    }

    private static Task Loading(HttpContext context)
    {
        context.Response.StatusCode = 503;
        context.Response.ContentType = "application/json; charset=klingon";
        return context.Response.WriteAsync("""{"status":"loading","progress":0.4}""");
    }
}
