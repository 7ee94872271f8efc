using System.Net;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>Requests whose slot is taken away: their node is lost, or their pool is emptied.</summary>
public sealed class LostLeaseTests
{
    private const string Stream = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Whole = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";
    private const string Token = """{"choices":[{"index":0,"delta":{"content":"a"}}]}""";

    [Theory]
    [InlineData(Stream, true)]
    [InlineData(Whole, true)]
    [InlineData(Whole, false)]
    public async Task LostBeforeTheFirstToken_TheOtherReplicaAnswers(string body, bool nodeLost)
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2, status: OwnNode);
        var reached = Reached(harness.Engines[0], _ => Task.CompletedTask);
        harness.Engines[1].Answer = e => e.JsonAsync("""{"from":"second"}""");

        var asking = harness.ChatAsync(body);
        var exchange = await reached.WaitAsync(GatewayHarness.Deadline);
        if (nodeLost)
        {
            harness.Plane.LoseNode("node-r0");
        }
        else
        {
            harness.Plane.Cut(new ReplicaId("node-r0", "default", "r0"), harness.Engine.Url);
        }

        using var response = await asking;
        (await response.Content.ReadAsStringAsync()).ShouldBe("""{"from":"second"}""");
        response.Headers.GetValues("x-loom-attempts").ShouldBe(["2"]);
        await exchange.Aborted.WaitAsync(GatewayHarness.Deadline);
    }

    [Theory]
    [InlineData(true, "WORKER_RESET")]
    [InlineData(false, "POOL_UNREADY")]
    public async Task LostMidStream_TerminalErrorAndTheConnectionIsCut(bool nodeLost, string code)
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2, status: OwnNode);
        var reached = Reached(harness.Engines[0], e => e.EventAsync(Token));
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream);
        await client.ReadUntilAsync(Token);
        var exchange = await reached.WaitAsync(GatewayHarness.Deadline);
        var replica = new ReplicaId("node-r0", "default", "r0");
        if (nodeLost)
        {
            harness.Plane.LoseNode("node-r0");
        }
        else
        {
            harness.Plane.Cut(replica, harness.Engine.Url);
        }

        var rest = await client.ReadToEndAsync();
        rest.ShouldContain(code);
        rest.ShouldNotContain("[DONE]");
        rest.ShouldNotContain("\r\n0\r\n\r\n", customMessage: "a proper end would hide the failure");
        await exchange.Aborted.WaitAsync(GatewayHarness.Deadline);
        harness.Publish(status => status with { State = ReplicaState.Draining });
        (await harness.Plane.QuietAsync(replica, harness.Engine.Url, CancellationToken.None).WaitAsync(GatewayHarness.Deadline)).ShouldBeTrue();
    }

    [Fact]
    public async Task Cut_NoOtherReplica_PoolUnready()
    {
        await using var harness = await GatewayHarness.StartAsync();
        var reached = Reached(harness.Engine, _ => Task.CompletedTask);
        var asking = harness.ChatAsync(Whole);
        await reached.WaitAsync(GatewayHarness.Deadline);

        harness.Publish(status => status with { State = ReplicaState.Draining });
        harness.Plane.Cut(new ReplicaId("node1", "default", "r0"), harness.Engine.Url);

        using var response = await asking;
        response.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        (await response.Content.ReadAsStringAsync()).ShouldContain("POOL_UNREADY");
        response.Headers.RetryAfter.ShouldNotBeNull();
    }

    private static ReplicaStatus OwnNode(ReplicaStatus status) => status with { Id = status.Id with { NodeId = "node-" + status.Id.ReplicaName } };

    private static Task<Exchange> Reached(FakeEngine engine, Func<Exchange, Task> first)
    {
        var reached = new TaskCompletionSource<Exchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        engine.Answer = async e =>
        {
            await first(e);
            reached.TrySetResult(e);
            await e.Aborted;
        };
        return reached.Task;
    }
}
