using System.Text.Json;
using Loom.Core.Queues;
using Loom.SystemTests.Gateway;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Tasks;

public sealed class TaskTests
{
    private const string Body = """{"model_ref":"demo","prompt":"the weaver","max_tokens":3,"seed":7}""";

    [Fact]
    public async Task Task_Completion_RunsThroughAdmissionAndTellsItsEvents()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Say("the ", "loom", " sings");

        var accepted = await world.PostTaskAsync(Body);
        var id = accepted.GetProperty("task_id").GetString()!;
        var events = await world.EventsAsync(id, verbose: true);

        accepted.GetProperty("queue_position").GetInt32().ShouldBe(0);
        accepted.GetProperty("backoff_ms").GetInt32().ShouldBe(0);
        accepted.GetProperty("streams").GetProperty("sse").GetString().ShouldBe($"/v2/tasks/{id}/events");
        accepted.GetProperty("streams").GetProperty("sse_verbose").GetString().ShouldBe($"/v2/tasks/{id}/events?verbose=true");
        accepted.GetProperty("preparation").GetProperty("steps").GetArrayLength().ShouldBe(0);
        var plain = events.Where(e => e.Event != "metrics").ToList();
        plain.Select(e => e.Event).ShouldBe(["queued", "started", "token", "token", "token", "end"]);
        events.Select(e => e.Id).ShouldBe(Enumerable.Range(1, events.Count).Select(i => (long)i));
        plain[1].Data.GetProperty("node").GetString().ShouldBe("node1");
        plain[1].Data.GetProperty("pool").GetString().ShouldBe("default");
        plain.Where(e => e.Event == "token").Select(e => (e.Data.GetProperty("t").GetString(), e.Data.GetProperty("i").GetInt32()))
            .ShouldBe([("the ", 0), ("loom", 1), (" sings", 2)]);
        var end = plain[^1].Data;
        end.GetProperty("tokens_out").GetInt32().ShouldBe(3);
        end.GetProperty("finish_reason").GetString().ShouldBe("length");
        end.GetProperty("usage").GetProperty("total_tokens").GetInt32().ShouldBe(8);
        end.TryGetProperty("canceled", out _).ShouldBeFalse();

        var task = await world.UntilAsync(id, "completed");
        task.GetProperty("text").GetString().ShouldBe("the loom sings");
        task.GetProperty("usage").GetProperty("cached_tokens").GetInt32().ShouldBe(2);
        world.Engine.Seen.Single().Path.ShouldBe("/v1/completions");
        using var sent = JsonDocument.Parse(world.Engine.Seen.Single().Body);
        sent.RootElement.ToString().ShouldBe("""{"model":"demo","prompt":"the weaver","max_tokens":3,"seed":7,"stream":true,"stream_options":{"include_usage":true}}""");
    }

    [Fact]
    public async Task Task_Messages_GoToChatAndTheCorrelationIdFollows()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Engine.Answer = async e =>
        {
            await e.EventAsync("""{"choices":[{"delta":{"role":"assistant"}}]}""");
            await e.EventAsync("""{"choices":[{"delta":{"content":"hi"}}]}""");
            await e.EventAsync("""{"choices":[{"delta":{},"finish_reason":"stop"}]}""");
            await e.EventAsync("[DONE]");
        };

        using var response = await world.RawAsync(HttpMethod.Post, "/v2/tasks", """{"model_ref":"demo","messages":[{"role":"user","content":"hello"}]}""");
        var correlation = response.Headers.GetValues("X-Correlation-Id").Single();
        using var answer = JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        var task = await world.UntilAsync(answer.RootElement.GetProperty("task_id").GetString()!, "completed");

        task.GetProperty("text").GetString().ShouldBe("hi");
        task.GetProperty("usage").GetProperty("estimated").GetBoolean().ShouldBeTrue();
        world.Engine.Seen.Single().Path.ShouldBe("/v1/chat/completions");
        world.Engine.Seen.Single().Headers["X-Request-Id"].ShouldBe(correlation);
    }

    [Fact]
    public async Task Task_SameIdAndBody_IsTheSameTask_AnotherBodyIsAConflict()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Say("a");

        var first = await world.PostTaskAsync("""{"task_id":"t1","model_ref":"demo","prompt":"x"}""");
        var again = await world.PostTaskAsync("""{ "prompt":"x", "model_ref":"demo", "task_id":"t1" }""");
        await world.UntilAsync("t1", "completed");
        var (status, other) = await world.SendAsync(HttpMethod.Post, "/v2/tasks", """{"task_id":"t1","model_ref":"demo","prompt":"y"}""");

        again.ToString().ShouldBe(first.ToString());
        status.ShouldBe(409);
        other.GetProperty("code").GetString().ShouldBe("CONFLICT");
        world.Engine.Seen.Count.ShouldBe(1);
    }

    [Fact]
    public async Task Task_UnknownField_NamesTheNearest()
    {
        await using var world = await TaskHarness.StartAsync();

        var (status, error) = await world.SendAsync(HttpMethod.Post, "/v2/tasks", """{"model_ref":"demo","promt":"x"}""");

        status.ShouldBe(400);
        error.GetProperty("code").GetString().ShouldBe("INVALID_PARAMS");
        error.GetProperty("message").GetString()!.ShouldContain("did you mean 'prompt'?");
    }

    [Fact]
    public async Task Task_UnknownModel_Is404AndOneThatIsNotThere_Too()
    {
        await using var world = await TaskHarness.StartAsync();

        var (status, error) = await world.SendAsync(HttpMethod.Post, "/v2/tasks", """{"model_ref":"dema","prompt":"x"}""");
        var (missing, _) = await world.SendAsync(HttpMethod.Get, "/v2/tasks/nothing/events");

        status.ShouldBe(404);
        error.GetProperty("message").GetString()!.ShouldContain("'demo'");
        missing.ShouldBe(404);
    }

    [Fact]
    public async Task Events_LastEventId_GoesOnBehindIt()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Say("a", "b", "c");
        var id = await world.PostTaskIdAsync(Body);
        var all = await world.EventsAsync(id);

        var rest = await world.EventsAsync(id, lastEventId: all[1].Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        var none = await world.EventsAsync(id, lastEventId: all[^1].Id.ToString(System.Globalization.CultureInfo.InvariantCulture));
        var beyond = await world.EventsAsync(id, lastEventId: "99");

        rest.Select(e => e.Id).ShouldBe(all.Skip(2).Select(e => e.Id));
        none.ShouldBeEmpty();
        // Numbers begin anew with a restart; whoever followed before it gets everything again.
        beyond.Select(e => e.Id).ShouldBe(all.Select(e => e.Id));
    }

    [Fact]
    public async Task Cancel_WhileItRuns_EndsTheStreamWithoutAnotherToken()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Engine.Answer = async e =>
        {
            await TaskHarness.SayAsync(e, ["one"], end: false);
            await e.Aborted;
        };
        var id = await world.PostTaskIdAsync(Body);
        await using var reader = await world.FollowAsync(id);
        await reader.UntilAsync("token");

        var (status, _) = await world.SendAsync(HttpMethod.Post, $"/v2/tasks/{id}/cancel");
        var rest = await reader.ToEndAsync();
        var (again, _) = await world.SendAsync(HttpMethod.Post, $"/v2/tasks/{id}/cancel");
        var (missing, _) = await world.SendAsync(HttpMethod.Post, "/v2/tasks/none/cancel");

        status.ShouldBe(204);
        again.ShouldBe(204);
        missing.ShouldBe(404);
        var end = rest.Single(e => e.Event != "metrics");
        end.Event.ShouldBe("end");
        end.Data.GetProperty("canceled").GetBoolean().ShouldBeTrue();
        await world.Engine.Seen.Single().Aborted.WaitAsync(TaskHarness.Deadline, TestContext.Current.CancellationToken);
        (await world.UntilAsync(id, "cancelled")).GetProperty("canceled").GetBoolean().ShouldBeTrue();
    }

    [Fact]
    public async Task Cancel_WhatHasEnded_IsAConflict()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Say("a");
        var id = await world.PostTaskIdAsync(Body);
        await world.UntilAsync(id, "completed");

        var (status, error) = await world.SendAsync(HttpMethod.Post, $"/v2/tasks/{id}/cancel");

        status.ShouldBe(409);
        error.GetProperty("message").GetString()!.ShouldContain("it has completed");
    }

    [Fact]
    public async Task Queue_OfTwoBatchTasks_ShowsPositionsAndEvictsTheOldestForAnInteractiveOne()
    {
        await using var world = await TaskHarness.StartAsync(slots: 1, options: o => o with { Admission = o.Admission with { Capacity = 2 } });
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Engine.Answer = async e =>
        {
            await gate.Task;
            await TaskHarness.SayAsync(e, ["x"]);
        };
        var holder = await world.PostTaskIdAsync(Body);
        await world.UntilAsync(holder, "running");
        const string Batch = """{"model_ref":"demo","prompt":"x","priority":"batch"}""";
        var first = await world.PostTaskAsync(Batch);
        var second = await world.PostTaskAsync(Batch);
        await using var victim = await world.FollowAsync(first.GetProperty("task_id").GetString()!, verbose: true);

        var interactive = await world.PostTaskAsync(Body);
        var error = await victim.UntilAsync("error");

        first.GetProperty("queue_position").GetInt32().ShouldBe(0);
        second.GetProperty("queue_position").GetInt32().ShouldBe(1);
        interactive.GetProperty("queue_position").GetInt32().ShouldBe(0);
        error.Data.GetProperty("code").GetString().ShouldBe("QUEUE_FULL_DROP_LRU");
        error.Data.GetProperty("retriable").GetBoolean().ShouldBeTrue();
        error.Data.GetProperty("retry_after_ms").GetInt32().ShouldBeGreaterThan(0);
        (await victim.NextAsync()).ShouldBeNull();
        gate.SetResult();
        await world.UntilAsync(second.GetProperty("task_id").GetString()!, "completed");
    }

    [Fact]
    public async Task Queue_RejectNew_AnswersTheNewcomerWith429()
    {
        await using var world = await TaskHarness.StartAsync(
            slots: 1, options: o => o with { Admission = o.Admission with { Capacity = 1, Policy = OverflowPolicy.RejectNew } });
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Engine.Answer = async e =>
        {
            await gate.Task;
            await TaskHarness.SayAsync(e, ["x"]);
        };
        await world.UntilAsync(await world.PostTaskIdAsync(Body), "running");
        await world.PostTaskIdAsync(Body);

        using var refused = await world.RawAsync(HttpMethod.Post, "/v2/tasks", Body);
        using var error = JsonDocument.Parse(await refused.Content.ReadAsStringAsync());

        ((int)refused.StatusCode).ShouldBe(429);
        refused.Headers.RetryAfter!.Delta!.Value.TotalSeconds.ShouldBeGreaterThanOrEqualTo(1);
        error.RootElement.GetProperty("code").GetString().ShouldBe("ADMISSION_REJECT");
        error.RootElement.GetProperty("policy_label").GetString().ShouldBe("reject-new");
        (await world.SendAsync(HttpMethod.Get, "/v2/tasks")).Body.GetProperty("count").GetInt32().ShouldBe(2);
        gate.SetResult();
    }

    [Fact]
    public async Task Attempt_FirstReplicaBreaksBeforeAToken_RunsOnTheOther()
    {
        await using var world = await TaskHarness.StartAsync(engines: 2, slots: 1);
        var broken = new TaskCompletionSource<FakeEngine>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var engine in world.Gateway.Engines)
        {
            engine.Answer = async e =>
            {
                if (broken.TrySetResult(engine))
                {
                    e.Http.Abort();
                    return;
                }

                await TaskHarness.SayAsync(e, ["x"]);
            };
        }

        var id = await world.PostTaskIdAsync(Body);
        var task = await world.UntilAsync(id, "completed");

        task.GetProperty("attempts").GetInt32().ShouldBe(2);
        (await world.EventsAsync(id)).Count(e => e.Event == "started").ShouldBe(1);
    }

    [Fact]
    public async Task Attempt_BreaksAfterATokenOrStopsHalfway_EndsWithWorkerReset()
    {
        await using var world = await TaskHarness.StartAsync(engines: 2);
        world.Gateway.Engines[0].Answer = world.Gateway.Engines[1].Answer = async e => await TaskHarness.SayAsync(e, ["one"], end: false);

        var events = await world.EventsAsync(await world.PostTaskIdAsync(Body));

        events.Count(e => e.Event == "token").ShouldBe(1);
        events[^1].Event.ShouldBe("error");
        events[^1].Data.GetProperty("code").GetString().ShouldBe("WORKER_RESET");
        events[^1].Data.GetProperty("retriable").GetBoolean().ShouldBeTrue();
    }

    [Fact]
    public async Task Task_Embedding_PutsItsResultIntoTheTaskAndTheLastEvent()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Engine.Answer = e => e.JsonAsync("""{"object":"list","data":[{"index":0,"embedding":[1,0]}],"usage":{"prompt_tokens":4}}""");

        var id = await world.PostTaskIdAsync("""{"model_ref":"demo","workload":"embedding","inputs":["a","b"]}""");
        var events = await world.EventsAsync(id);
        var task = await world.UntilAsync(id, "completed");

        world.Engine.Seen.Single().Path.ShouldBe("/v1/embeddings");
        world.Engine.Seen.Single().Text.ShouldBe("""{"model":"demo","input":["a","b"]}""");
        events[^1].Data.GetProperty("result").GetProperty("data").GetArrayLength().ShouldBe(1);
        task.GetProperty("result").GetProperty("data")[0].GetProperty("embedding").GetArrayLength().ShouldBe(2);
    }

    [Fact]
    public async Task Task_DeadlinePassesWhileItRuns_EndsWithDecodeTimeout()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Engine.Answer = async e =>
        {
            await TaskHarness.SayAsync(e, ["one"], end: false);
            await e.Aborted;
        };

        var events = await world.EventsAsync(await world.PostTaskIdAsync("""{"model_ref":"demo","prompt":"x","deadline_ms":2000}"""));

        events[^1].Data.GetProperty("code").GetString().ShouldBe("DECODE_TIMEOUT");
    }

    [Fact]
    public async Task Tasks_OfAnotherKey_AreNotThere()
    {
        await using var world = await TaskHarness.StartAsync(options: o => o with
        {
            Api = o.Api with { Token = "main", Keys = [Key("a"), Key("b")] },
        });
        world.Say("x");

        var (_, task) = await world.SendAsync(HttpMethod.Post, "/v2/tasks", Body, "a");
        var path = $"/v2/tasks/{task.GetProperty("task_id").GetString()}";

        (await world.SendAsync(HttpMethod.Get, path, token: "a")).Status.ShouldBe(200);
        (await world.SendAsync(HttpMethod.Get, path, token: "b")).Status.ShouldBe(404);
        (await world.SendAsync(HttpMethod.Get, path + "/events", token: "b")).Status.ShouldBe(404);
        (await world.SendAsync(HttpMethod.Post, path + "/cancel", token: "b")).Status.ShouldBe(404);
        (await world.SendAsync(HttpMethod.Get, path, token: "main")).Status.ShouldBe(200);
        (await world.SendAsync(HttpMethod.Get, "/v2/tasks", token: "b")).Body.GetProperty("count").GetInt32().ShouldBe(0);
        (await world.SendAsync(HttpMethod.Get, "/v2/tasks", token: "main")).Body.GetProperty("count").GetInt32().ShouldBe(1);
    }

    [Fact]
    public async Task Task_Placed_IsExplainedByItsCorrelationId()
    {
        await using var world = await TaskHarness.StartAsync(engines: 2);
        world.Say("x");

        var id = await world.PostTaskIdAsync("""{"model_ref":"demo","prompt":"x","placement":{"avoid_pools":["other"]}}""");
        var task = await world.UntilAsync(id, "completed");
        var (status, explained) = await world.SendAsync(HttpMethod.Get, $"/v2/requests/{task.GetProperty("correlation_id").GetString()}/explain");

        status.ShouldBe(200);
        explained.ToString().ShouldContain("/v2/tasks");
        explained.ToString().ShouldContain("node1");
    }

    [Fact]
    public async Task Task_PinnedToAPoolThatIsNotThere_WithoutFallback_IsRefused()
    {
        await using var world = await TaskHarness.StartAsync();

        var (status, _) = await world.SendAsync(
            HttpMethod.Post, "/v2/tasks", """{"model_ref":"demo","prompt":"x","placement":{"mode":"pin","pin_pool_id":"elsewhere","allow_fallback":false}}""");

        status.ShouldBe(503);
    }

    [Fact]
    public async Task Worker_Registered_ServesOnlyWithDev()
    {
        await using var closed = await TaskHarness.StartAsync();
        await using var world = await TaskHarness.StartAsync(engines: 2, options: o => o with { Dev = true }, status: s => s with { State = Loom.Wire.ReplicaState.Stopped });
        world.Say("by hand");
        var body = $$"""{"pool_id":"default","replica_id":"w0","url":"{{world.Engine.Url}}"}""";

        var (refused, _) = await closed.SendAsync(HttpMethod.Post, "/v2/workers/register", body, "run-token");
        var (status, answer) = await world.SendAsync(HttpMethod.Post, "/v2/workers/register", body, "run-token");
        var task = await world.UntilAsync(await world.PostTaskIdAsync(Body), "completed");

        refused.ShouldBe(404);
        status.ShouldBe(200);
        answer.ToString().ShouldBe("""{"ok":true,"identity":"dev/default/w0","pool_id":"default","replica_id":"w0"}""");
        task.GetProperty("text").GetString().ShouldBe("by hand");
        task.GetProperty("node").GetString().ShouldBe("dev");
    }

    private static Loom.Core.Web.ClientKey Key(string name) => new(
        name, Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(name))), Loom.Core.Web.Scopes.Inference);
}
