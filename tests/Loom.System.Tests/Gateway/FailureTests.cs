using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Loom.Control;
using Loom.Core.Web;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>Engines that die, refuse or fall silent.</summary>
public sealed class FailureTests
{
    private const string Stream = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Whole = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";
    private const string Token = """{"choices":[{"index":0,"delta":{"content":"a"}}]}""";

    [Theory]
    [InlineData(Stream)]
    [InlineData(Whole)]
    public async Task Engine_DiesBeforeTheFirstToken_TheOtherReplicaAnswers(string body)
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2);
        harness.Engines[0].Answer = e =>
        {
            e.Http.Abort();
            return Task.CompletedTask;
        };
        harness.Engines[1].Answer = e => e.JsonAsync("""{"from":"second"}""");

        using var response = await harness.ChatAsync(body);

        (await response.Content.ReadAsStringAsync()).ShouldBe("""{"from":"second"}""");
        response.Headers.GetValues("x-loom-attempts").ShouldBe(["2"]);
        harness.Faults.Single().Replica.ReplicaName.ShouldBe("r0");
    }

    [Fact]
    public async Task Engine_IsNotListening_TheOtherReplicaAnswers()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2);
        await harness.Engines[0].KillAsync();

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Headers.GetValues("x-loom-attempts").ShouldBe(["2"]);
    }

    [Theory]
    [InlineData(500)]
    [InlineData(503)]
    public async Task Engine_Answers5xx_TheOtherReplicaAnswers(int status)
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2);
        harness.Engines[0].Answer = e => e.JsonAsync("{}", status);

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        harness.Faults.Count.ShouldBe(status == 503 ? 0 : 1);
    }

    [Fact]
    public async Task Engine_Answers4xx_IsReturnedAsItIs()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2);
        foreach (var engine in harness.Engines)
        {
            engine.Answer = e => e.JsonAsync("""{"error":{"code":"context_length_exceeded"}}""", 400);
        }

        using var response = await harness.ChatAsync(Stream);

        response.StatusCode.ShouldBe(HttpStatusCode.BadRequest);
        (await response.Content.ReadAsStringAsync()).ShouldBe("""{"error":{"code":"context_length_exceeded"}}""");
        harness.Engines.Sum(e => e.Seen.Count).ShouldBe(1);
    }

    [Fact]
    public async Task Engine_AllFail_503ReplicaExhausted()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 3);
        foreach (var engine in harness.Engines)
        {
            engine.Answer = e => e.JsonAsync("""{"oops":1}""", 500);
        }

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        var error = JsonDocument.Parse(await response.Content.ReadAsStringAsync()).RootElement.GetProperty("error");
        error.GetProperty("code").GetString().ShouldBe("unavailable");
        error.GetProperty("loom_code").GetString().ShouldBe("REPLICA_EXHAUSTED");
        error.GetProperty("retriable").GetBoolean().ShouldBeTrue();
        error.GetProperty("retry_after_ms").GetInt32().ShouldBeGreaterThanOrEqualTo(1000);
        error.GetProperty("message").GetString()!.ShouldContain("oops");
        response.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeInRange(1, 60);
        harness.Engines.Sum(e => e.Seen.Count).ShouldBe(2, "dispatch_attempts is 2");
    }

    [Fact]
    public async Task Engine_DiesMidStream_ErrorEventNoDoneAndTheConnectionIsCut()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2);
        var arrived = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var engine in harness.Engines)
        {
            engine.Answer = async e =>
            {
                await e.EventAsync(Token);
                // Sooner, the abort could overtake the event.
                await arrived.Task;
                e.Http.Abort();
            };
        }

        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream);
        await client.ReadUntilAsync(Token);
        arrived.SetResult();
        var text = await client.ReadToEndAsync();

        text.ShouldContain("\"code\":\"engine_reset\"");
        text.ShouldContain("\"loom_code\":\"WORKER_RESET\"");
        text.ShouldNotContain("[DONE]");
        text.ShouldNotEndWith("0\r\n\r\n");
        harness.Engines.Sum(e => e.Seen.Count).ShouldBe(1, "nothing is replayed after the first token");
        await harness.UntilMetricAsync("orchd_pool_slots{pool=\"default\",state=\"busy\"} 0");
    }

    [Fact]
    public async Task Engine_ClosedAnIdleConnection_OneFreeReconnectAndNoFault()
    {
        await using var harness = await GatewayHarness.StartAsync();
        (await harness.ChatAsync(Whole)).EnsureSuccessStatusCode();
        var first = true;
        harness.Engine.Answer = e =>
        {
            if (first)
            {
                first = false;
                e.Http.Abort();
                return Task.CompletedTask;
            }

            return e.JsonAsync("{}");
        };

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Headers.GetValues("x-loom-attempts").ShouldBe(["1"]);
        harness.Faults.ShouldBeEmpty();
    }

    [Fact]
    public async Task Provider_ClosedAnIdleConnection_IsNotAskedAgain()
    {
        await using var harness = await GatewayHarness.StartAsync(status: s => s with { EngineKind = "openai" });
        (await harness.ChatAsync(Whole)).EnsureSuccessStatusCode();
        harness.Engine.Answer = e =>
        {
            e.Http.Abort();
            return Task.CompletedTask;
        };

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.BadGateway);
        harness.Engine.Seen.Count.ShouldBe(2, "the provider may have done and counted the work");
    }

    [Fact]
    public async Task Engine_DiesOnAFreshConnection_IsNotAskedAgain()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = e =>
        {
            e.Http.Abort();
            return Task.CompletedTask;
        };

        using var response = await harness.ChatAsync(Whole);

        response.IsSuccessStatusCode.ShouldBeFalse();
        harness.Engine.Seen.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Engine_AcceptsNoConnection_TheOtherReplicaAnswers()
    {
        // The system lets only as many connections in as fit into the backlog; the next one gets no answer at all.
        using var deaf = new Socket(SocketType.Stream, ProtocolType.Tcp);
        deaf.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        deaf.Listen(0);
        var port = ((IPEndPoint)deaf.LocalEndPoint!).Port;
        using var first = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await first.ConnectAsync(IPAddress.Loopback, port);
        using var second = new Socket(SocketType.Stream, ProtocolType.Tcp);
        using var enough = new CancellationTokenSource();
        var filling = second.ConnectAsync(new IPEndPoint(IPAddress.Loopback, port), enough.Token).AsTask();
        await using var harness = await GatewayHarness.StartAsync(
            engines: 2, options: o => o with { Gateway = o.Gateway with { ConnectTimeout = TimeSpan.FromSeconds(2) } },
            status: s => s.Id.ReplicaName == "r0" ? s with { Url = $"http://127.0.0.1:{port}/v1" } : s);

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.OK);
        response.Headers.GetValues("x-loom-attempts").ShouldBe(["2"]);
        harness.Faults.Single().Reason.ShouldContain("no connection within 2 s");
        await enough.CancelAsync();
        await filling.ContinueWith(_ => { }, TaskScheduler.Default);
    }

    [Fact]
    public async Task Deadline_LongerThanTheBodyMayTake_DoesNotEndTheWait()
    {
        await using var harness = await GatewayHarness.StartAsync(slots: 1, options: o => o with { Gateway = o.Gateway with { BodyTimeout = TimeSpan.FromSeconds(1) } });
        harness.Engine.Answer = e => e.Aborted;
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Whole);
        await harness.UntilMetricAsync("orchd_pool_slots{pool=\"default\",state=\"busy\"} 1");

        using var response = await harness.ChatAsync(Whole, r => r.Headers.Add("x-loom-deadline-ms", "2500"));

        // The deadline's own code, not that of a body that came too slowly.
        (await response.Content.ReadAsStringAsync()).ShouldContain("x-loom-deadline-ms");
        response.StatusCode.ShouldNotBe(HttpStatusCode.RequestTimeout);
    }

    [Fact]
    public async Task Engine_SilentBeforeTheFirstToken_504()
    {
        await using var harness = await GatewayHarness.StartAsync(
            options: o => o with { Gateway = o.Gateway with { FirstTokenTimeout = TimeSpan.FromSeconds(2) } });
        harness.Engine.Answer = e => e.Aborted;

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.GatewayTimeout);
        (await response.Content.ReadAsStringAsync()).ShouldContain("engine_timeout");
        await harness.Engine.Seen.Single().Aborted.WaitAsync(GatewayHarness.Deadline);
        harness.Faults.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Engine_SilentMidStream_TerminalError()
    {
        await using var harness = await GatewayHarness.StartAsync(
            options: o => o with { Gateway = o.Gateway with { StreamIdleTimeout = TimeSpan.FromMilliseconds(150) } });
        harness.Engine.Answer = async e =>
        {
            await e.EventAsync(Token);
            await e.Aborted;
        };

        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream);
        var text = await client.ReadToEndAsync();

        text.ShouldContain("\"code\":\"engine_timeout\"");
        text.ShouldNotContain("[DONE]");
    }

    [Fact]
    public async Task Deadline_WhileTheEngineWorks_504()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = e => e.Aborted;

        using var response = await harness.ChatAsync(Whole, r => r.Headers.Add("x-loom-deadline-ms", "2000"));

        response.StatusCode.ShouldBe(HttpStatusCode.GatewayTimeout);
        (await response.Content.ReadAsStringAsync()).ShouldContain("DECODE_TIMEOUT");
        await harness.Engine.Seen.Single().Aborted.WaitAsync(GatewayHarness.Deadline);
    }

    [Fact]
    public async Task Provider_429_IsPassedThroughWithItsRetryAfterAndOurSecretOnly()
    {
        await using var harness = await GatewayHarness.StartAsync(
            engines: 1, status: s => s with { EngineKind = "openai", UpstreamModel = "big/one", Models = ["llm/big"], Model = "llm/big" });
        harness.Engine.Answer = e =>
        {
            e.Http.Response.Headers.RetryAfter = "7";
            return e.JsonAsync("""{"error":{"message":"slow down"}}""", 429);
        };

        using var response = await harness.ChatAsync(
            """{"model":"llm/big","messages":[{"role":"user","content":"hi"}]}""", r => r.Headers.Authorization = new("Bearer", "client-secret"));

        response.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        response.Headers.RetryAfter!.Delta.ShouldBe(TimeSpan.FromSeconds(7));
        var seen = harness.Engine.Seen.Single();
        seen.Headers.Keys.ShouldNotContain("Authorization");
        seen.Text.ShouldBe("""{"model":"big/one","messages":[{"role":"user","content":"hi"}]}""");
    }

    [Fact]
    public async Task Shutdown_RunningStream_DrainsThenEndsWithAnError()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Engine.Answer = async e =>
        {
            await e.EventAsync(Token);
            await e.Aborted;
        };
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream);
        await client.ReadUntilAsync(Token);
        using var hurry = new CancellationTokenSource();

        var stopping = harness.Plane.StopAsync(TimeSpan.FromMinutes(5), hurry.Token);
        using (var refused = await harness.ChatAsync(Whole))
        {
            refused.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
            refused.Headers.RetryAfter.ShouldNotBeNull();
        }

        (await harness.Client.GetAsync("/health/ready")).StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        stopping.IsCompleted.ShouldBeFalse("a stream still runs");
        await hurry.CancelAsync();
        (await client.ReadToEndAsync()).ShouldContain("NODE_UNAVAILABLE");
        await stopping.WaitAsync(GatewayHarness.Deadline);
    }

    [Fact]
    public async Task Start_PortTaken_SaysWhichSetting()
    {
        await using var harness = await GatewayHarness.StartAsync();
        var taken = new IPEndPoint(IPAddress.Loopback, harness.Plane.ApiAddress.Port);
        await using var second = new ControlPlane(
            new ControlOptions { Api = new() { Bind = taken, MetricsPort = null } }, harness, TimeProvider.System, new Random(1), harness.Log);

        var error = await Should.ThrowAsync<PortTakenException>(() => second.StartAsync(CancellationToken.None));

        error.EndPoint.ShouldBe(taken);
        error.Setting.ShouldBe("serving.bind");
    }

    [Fact]
    public async Task Replica_FailedForGood_503WithItsReason()
    {
        await using var harness = await GatewayHarness.StartAsync();
        harness.Publish(s => s with { State = ReplicaState.Failed, LastError = "out of memory" });

        using var response = await harness.ChatAsync(Whole);

        response.StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
        var text = await response.Content.ReadAsStringAsync();
        text.ShouldContain("POOL_UNAVAILABLE");
        text.ShouldContain("out of memory");
    }
}
