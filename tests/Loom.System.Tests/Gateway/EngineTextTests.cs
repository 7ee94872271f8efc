using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Http;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>What passes between client and engine word for word, and what must not.</summary>
public sealed class EngineTextTests
{
    private const string Stream = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Whole = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";

    [Theory]
    [InlineData("default")]
    [InlineData("chat")]
    public async Task Model_UnderAnotherName_ReachesTheEngineUnderItsOwn(string name)
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { Aliases = ["chat"] });

        using var response = await harness.ChatAsync(Whole.Replace("demo", name, StringComparison.Ordinal));

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        harness.Engine.Seen.Single().Text.ShouldBe(Whole);
    }

    [Fact]
    public async Task Engine_5xxWithoutEnd_IsReadInPartAndTheOtherReplicaAnswers()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2);
        var big = new string('x', 8192);
        harness.Engines[0].Answer = async e =>
        {
            e.Http.Response.StatusCode = 500;
            e.Http.Response.ContentType = "text/plain; charset=no-such-thing";
            await e.Http.Response.WriteAsync(big);
            await e.Http.Response.Body.FlushAsync();
            await e.Aborted;
        };

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Headers.GetValues("x-loom-attempts").ShouldBe(["2"]);
    }

    [Fact]
    public async Task Engine_HeaderThatCannotBeSentOn_IsLeftOut()
    {
        await using var harness = await GatewayHarness.StartAsync();
        using var engine = new Socket(SocketType.Stream, ProtocolType.Tcp);
        engine.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        engine.Listen(1);
        harness.Publish(s => s with { Url = $"http://127.0.0.1:{((IPEndPoint)engine.LocalEndPoint!).Port}/v1" });

        var asking = harness.ChatAsync(Whole);
        using var asked = await engine.AcceptAsync().WaitAsync(GatewayHarness.Deadline);
        await asked.SendAsync(System.Text.Encoding.Latin1.GetBytes("HTTP/1.1 200 OK\r\nx-good: 1\r\nx-bad: caf\u00e9\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"));
        using var response = await asking;

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Headers.GetValues("x-good").ShouldBe(["1"]);
        response.Headers.Contains("x-bad").ShouldBeFalse();
    }

    [Theory]
    [InlineData("""{"error":{"message":"too long"}}""", "data: {\"error\":{\"message\":\"too long\"}}")]
    [InlineData("<html>no</html>", "the engine answered with status 400")]
    [InlineData("""{"detail":"no"}""", "the engine answered with status 400")]
    public async Task Engine_RefusesAfterEarlyHeaders_TheLastEventIsAnError(string body, string expected)
    {
        await using var harness = await GatewayHarness.StartAsync(options: o => o with { Gateway = o.Gateway with { SseEarlyHeaders = TimeSpan.Zero } });
        var told = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            await told.Task;
            await e.JsonAsync(body, 400);
        };
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream);
        await client.ReadUntilAsync(": prefill");

        told.SetResult();
        var text = await client.ReadToEndAsync();

        text.ShouldContain(expected);
        text.ShouldNotContain("data: <");
    }
}
