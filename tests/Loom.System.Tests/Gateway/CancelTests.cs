using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>A client that leaves stops its work, whatever phase it is in.</summary>
public sealed class CancelTests
{
    private const string Stream = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Whole = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";
    private const string Token = """{"choices":[{"index":0,"delta":{"content":"a"}}]}""";

    [Theory]
    [InlineData(Stream)]
    [InlineData(Whole)]
    public async Task Cancel_InPrefill_AbortsTheEngineAndFreesTheSlot(string body)
    {
        await using var harness = await GatewayHarness.StartAsync(slots: 1);
        var reached = new TaskCompletionSource<Exchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            reached.SetResult(e);
            await e.Aborted;
        };
        using (var client = await harness.RawAsync())
        {
            await client.PostAsync("/v1/chat/completions", body);
            await reached.Task.WaitAsync(GatewayHarness.Deadline);
        }

        await (await reached.Task).Aborted.WaitAsync(GatewayHarness.Deadline);
        await SlotIsFreeAsync(harness);
        await harness.UntilMetricAsync("orchd_cancel_seconds_count{phase=\"prefill\"} 1");
    }

    [Fact]
    public async Task Cancel_WhileStreaming_AbortsTheEngineAndFreesTheSlot()
    {
        await using var harness = await GatewayHarness.StartAsync(slots: 1);
        var reached = new TaskCompletionSource<Exchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            reached.SetResult(e);
            await e.EventAsync(Token);
            await e.Aborted;
        };
        using (var client = await harness.RawAsync())
        {
            await client.PostAsync("/v1/chat/completions", Stream);
            await client.ReadUntilAsync(Token);
        }

        await (await reached.Task).Aborted.WaitAsync(GatewayHarness.Deadline);
        await SlotIsFreeAsync(harness);
        await harness.UntilMetricAsync("orchd_cancel_seconds_count{phase=\"streaming\"} 1");
    }

    [Fact]
    public async Task Cancel_InAWholeAnswer_AbortsTheEngineAndFreesTheSlot()
    {
        await using var harness = await GatewayHarness.StartAsync(slots: 1);
        var reached = new TaskCompletionSource<Exchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        var big = new string('x', 300_000);
        harness.Engine.Answer = async e =>
        {
            e.Http.Response.ContentType = "application/json";
            await e.Http.Response.Body.WriteAsync(System.Text.Encoding.UTF8.GetBytes(big));
            await e.Http.Response.Body.FlushAsync();
            reached.SetResult(e);
            await e.Aborted;
        };
        using (var client = await harness.RawAsync())
        {
            await client.PostAsync("/v1/chat/completions", Whole);
            await client.ReadUntilAsync("xxx");
        }

        await (await reached.Task.WaitAsync(GatewayHarness.Deadline)).Aborted.WaitAsync(GatewayHarness.Deadline);
        await SlotIsFreeAsync(harness);
        await harness.UntilMetricAsync("orchd_cancel_seconds_count{phase=\"non-streaming\"} 1");
    }

    [Theory]
    [InlineData(Stream)]
    [InlineData(Whole)]
    public async Task Cancel_WhileQueued_LeavesTheQueueAndNeverReachesTheEngine(string body)
    {
        await using var harness = await GatewayHarness.StartAsync(slots: 1);
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            await gate.Task;
            await e.JsonAsync("{}");
        };
        var running = harness.ChatAsync(Whole);
        using (var client = await harness.RawAsync())
        {
            await harness.UntilMetricAsync("orchd_tasks_started_total{engine=\"mock\",class=\"interactive\"} 1");
            await client.PostAsync("/v1/chat/completions", body);
            await harness.UntilMetricAsync("orchd_queue_depth{class=\"interactive\"} 1");
        }

        await harness.UntilMetricAsync("orchd_queue_depth{class=\"interactive\"} 0");
        gate.SetResult();
        (await running).IsSuccessStatusCode.ShouldBeTrue();
        await SlotIsFreeAsync(harness);
        harness.Engine.Seen.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Client_ThatReadsNothing_IsCutAfterTheStallTimeout()
    {
        await using var harness = await GatewayHarness.StartAsync(
            slots: 1, options: o => o with { Gateway = o.Gateway with { ClientStallTimeout = TimeSpan.FromSeconds(1) } });
        var reached = new TaskCompletionSource<Exchange>(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            reached.SetResult(e);
            var text = new string('y', 4000);
            while (!e.Aborted.IsCompleted)
            {
                await e.EventAsync(text);
            }
        };
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream);

        await (await reached.Task.WaitAsync(GatewayHarness.Deadline)).Aborted.WaitAsync(GatewayHarness.Deadline);

        await SlotIsFreeAsync(harness);
        await harness.UntilMetricAsync("orchd_client_stalls_total");
    }

    private static Task SlotIsFreeAsync(GatewayHarness harness) => harness.UntilMetricAsync("orchd_pool_slots{pool=\"default\",state=\"busy\"} 0");
}
