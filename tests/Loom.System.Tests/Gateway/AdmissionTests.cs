using System.Net;
using Loom.Control;
using Loom.Core.Queues;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Gateway;

/// <summary>The queue as clients meet it.</summary>
public sealed class AdmissionTests
{
    private const string Stream = """{"model":"demo","stream":true,"messages":[{"role":"user","content":"hi"}]}""";
    private const string Whole = """{"model":"demo","messages":[{"role":"user","content":"hi"}]}""";

    [Fact]
    public async Task Full_DropLru_TheOldestBatchRequestMakesRoomForAnInteractiveOne()
    {
        await using var held = await HeldAsync(OverflowPolicy.DropLru, capacity: 2);
        var first = held.Harness.ChatAsync(Whole, Batch);
        await held.Harness.UntilMetricAsync("orchd_queue_depth{class=\"batch\"} 1");
        var second = held.Harness.ChatAsync(Whole, Batch);
        await held.Harness.UntilMetricAsync("orchd_queue_depth{class=\"batch\"} 2");

        var interactive = held.Harness.ChatAsync(Whole);
        using var evicted = await first;

        evicted.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        (await evicted.Content.ReadAsStringAsync()).ShouldContain("QUEUE_FULL_DROP_LRU");
        evicted.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeInRange(1, 60);
        int.Parse(evicted.Headers.GetValues("X-Backoff-Ms").Single()).ShouldBeGreaterThan(0);
        held.Release();
        (await interactive).StatusCode.ShouldBe(HttpStatusCode.OK);
        (await second).StatusCode.ShouldBe(HttpStatusCode.OK);
        int.Parse((await second).Headers.GetValues("x-loom-queue-ms").Single()).ShouldBeGreaterThanOrEqualTo(0);
    }

    [Fact]
    public async Task Full_DropLru_ABatchRequestNeverEvictsAnInteractiveOne()
    {
        await using var held = await HeldAsync(OverflowPolicy.DropLru, capacity: 1);
        var waiting = held.Harness.ChatAsync(Whole);
        await held.Harness.UntilMetricAsync("orchd_queue_depth{class=\"interactive\"} 1");

        using var refused = await held.Harness.ChatAsync(Whole, Batch);

        refused.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        (await refused.Content.ReadAsStringAsync()).ShouldContain("ADMISSION_REJECT");
        held.Release();
        (await waiting).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Full_RejectNew_TheNewcomerGets429()
    {
        await using var held = await HeldAsync(OverflowPolicy.RejectNew, capacity: 1);
        var waiting = held.Harness.ChatAsync(Whole, Batch);
        await held.Harness.UntilMetricAsync("orchd_queue_depth{class=\"batch\"} 1");

        using var refused = await held.Harness.ChatAsync(Whole);

        refused.StatusCode.ShouldBe(HttpStatusCode.TooManyRequests);
        var text = await refused.Content.ReadAsStringAsync();
        text.ShouldContain("\"code\":\"queue_full\"");
        text.ShouldContain("reject-new");
        refused.Headers.RetryAfter.ShouldNotBeNull();
        held.Release();
        (await waiting).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Waiting_Stream_GetsHeadersAndItsPositionEarlyAndItsEvictionAsATerminalEvent()
    {
        await using var held = await HeldAsync(OverflowPolicy.DropLru, capacity: 1, o => o with { Gateway = o.Gateway with { SseEarlyHeaders = TimeSpan.Zero } });
        using var client = await held.Harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream, "x-loom-priority: batch\r\n");

        var head = await client.ReadUntilAsync(": queued position=0 eta_ms=");
        var interactive = held.Harness.ChatAsync(Whole);
        var rest = await client.ReadToEndAsync();

        head.ShouldStartWith("HTTP/1.1 200 OK");
        head.ShouldContain("text/event-stream");
        rest.ShouldContain("QUEUE_FULL_DROP_LRU");
        rest.ShouldContain("\"retry_after_ms\":");
        rest.ShouldNotContain("[DONE]");
        held.Release();
        (await interactive).StatusCode.ShouldBe(HttpStatusCode.OK);
    }

    [Fact]
    public async Task Waiting_Stream_WhileTheModelLoads_ToldAndThenServed()
    {
        await using var harness = await GatewayHarness.StartAsync(
            options: o => o with { Gateway = o.Gateway with { SseEarlyHeaders = TimeSpan.Zero } },
            status: s => s with { State = ReplicaState.Starting, LoadPercent = 40 });
        harness.Engine.Answer = async e => await e.EventAsync("[DONE]");
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream, "Connection: close\r\n");

        await client.ReadUntilAsync(": loading pct=40");
        harness.Publish(s => s with { State = ReplicaState.Ready, LoadPercent = null });

        var rest = await client.ReadToEndAsync();
        rest.ShouldContain("data: [DONE]");
        rest.ShouldEndWith("0\r\n\r\n");
    }

    [Fact]
    public async Task Prefill_EngineSentOnlyItsHeaders_TheClientIsToldAndThenServed()
    {
        await using var harness = await GatewayHarness.StartAsync(options: o => o with { Gateway = o.Gateway with { SseEarlyHeaders = TimeSpan.Zero } });
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            e.Http.Response.ContentType = "text/event-stream";
            await e.Http.Response.Body.FlushAsync();
            await gate.Task;
            await e.EventAsync("[DONE]");
        };
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream, "Connection: close\r\n");

        await client.ReadUntilAsync(": prefill");
        gate.SetResult();

        (await client.ReadToEndAsync()).ShouldEndWith("data: [DONE]\n\n\r\n0\r\n\r\n");
    }

    [Fact]
    public async Task Waiting_EngineRefusesAfterEarlyHeaders_ItsErrorIsTheLastEvent()
    {
        await using var harness = await GatewayHarness.StartAsync(
            options: o => o with { Gateway = o.Gateway with { SseEarlyHeaders = TimeSpan.Zero } }, status: s => s with { State = ReplicaState.Starting });
        harness.Engine.Answer = e => e.JsonAsync("{\"error\":\n{\"code\":\"context_length_exceeded\"}}", 400);
        using var client = await harness.RawAsync();
        await client.PostAsync("/v1/chat/completions", Stream);
        await client.ReadUntilAsync(": queued");

        harness.Publish(s => s with { State = ReplicaState.Ready });

        (await client.ReadToEndAsync()).ShouldContain("data: {\"error\": {\"code\":\"context_length_exceeded\"}}\n\n");
    }

    [Fact]
    public async Task Deadline_PassesInTheQueue_504DeadlineUnmet()
    {
        await using var held = await HeldAsync(OverflowPolicy.DropLru, capacity: 2);

        using var late = await held.Harness.ChatAsync(Whole, r => r.Headers.Add("x-loom-deadline-ms", "150"));

        late.StatusCode.ShouldBe(HttpStatusCode.GatewayTimeout);
        (await late.Content.ReadAsStringAsync()).ShouldContain("deadline_unmet");
        late.Headers.GetValues("x-should-retry").ShouldBe(["false"]);
        await held.Harness.UntilMetricAsync("orchd_queue_depth{class=\"interactive\"} 0");
    }

    [Fact]
    public async Task Timeout_InTheQueue_504NamesTheSetting()
    {
        await using var held = await HeldAsync(OverflowPolicy.DropLru, capacity: 2, o => o with { Gateway = o.Gateway with { QueueTimeout = TimeSpan.FromMilliseconds(150) } });

        using var late = await held.Harness.ChatAsync(Whole);

        late.StatusCode.ShouldBe(HttpStatusCode.GatewayTimeout);
        (await late.Content.ReadAsStringAsync()).ShouldContain("serving.queue_timeout_ms");
    }

    [Fact]
    public async Task Waiting_ReplicaFailsForGood_TheWaiterIsTold()
    {
        await using var held = await HeldAsync(OverflowPolicy.DropLru, capacity: 2);
        var waiting = held.Harness.ChatAsync(Whole);
        await held.Harness.UntilMetricAsync("orchd_queue_depth{class=\"interactive\"} 1");

        held.Harness.Publish(s => s with { State = ReplicaState.Failed });

        (await waiting).StatusCode.ShouldBe(HttpStatusCode.ServiceUnavailable);
    }

    [Fact]
    public async Task Load_ManyClients_SlotsAreNeverExceededAndAllAreServed()
    {
        await using var harness = await GatewayHarness.StartAsync(engines: 2, slots: 2, options: o => o with { Admission = o.Admission with { Capacity = 1000 } });
        var most = new int[2];
        var now = new int[2];
        for (var i = 0; i < 2; i++)
        {
            var engine = i;
            harness.Engines[i].Answer = async e =>
            {
                var running = Interlocked.Increment(ref now[engine]);
                lock (most)
                {
                    most[engine] = Math.Max(most[engine], running);
                }

                await Task.Yield();
                Interlocked.Decrement(ref now[engine]);
                await e.JsonAsync("{}");
            };
        }

        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(_ => harness.ChatAsync(Whole)));

        answers.ShouldAllBe(a => a.StatusCode == HttpStatusCode.OK);
        most.ShouldAllBe(m => m <= 2);
        harness.Engines.ShouldAllBe(e => e.Seen.Count > 0);
        await harness.UntilMetricAsync("orchd_pool_slots{pool=\"default\",state=\"busy\"} 0");
    }

    private static void Batch(HttpRequestMessage request) => request.Headers.Add("x-loom-priority", "batch");

    // One replica with one slot, which is taken until Release.
    private static async Task<Held> HeldAsync(OverflowPolicy policy, int capacity, Func<ControlOptions, ControlOptions>? options = null)
    {
        var harness = await GatewayHarness.StartAsync(slots: 1, options: o =>
        {
            o = o with { Admission = o.Admission with { Policy = policy, Capacity = capacity } };
            return options?.Invoke(o) ?? o;
        });
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        harness.Engine.Answer = async e =>
        {
            await gate.Task;
            await e.JsonAsync("{}");
        };
        var running = harness.ChatAsync(Whole);
        await harness.UntilMetricAsync("orchd_tasks_started_total{engine=\"mock\",class=\"interactive\"} 1");
        return new Held(harness, gate, running);
    }

    private sealed record Held(GatewayHarness Harness, TaskCompletionSource Gate, Task<HttpResponseMessage> Running) : IAsyncDisposable
    {
        public void Release() => Gate.TrySetResult();

        public async ValueTask DisposeAsync()
        {
            Release();
            (await Running).StatusCode.ShouldBe(HttpStatusCode.OK);
            await Harness.DisposeAsync();
        }
    }
}
