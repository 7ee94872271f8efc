using System.Net;
using Loom.Control.Sessions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Tasks;

public sealed class SessionTests
{
    private const string Id = "7b0b7a3e-3f4f-4a0e-9d6c-2f6f3f1c0001";

    [Fact]
    public async Task Session_PutGetListDelete()
    {
        await using var world = await TaskHarness.StartAsync();

        var (put, made) = await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"ttl_ms":60000,"budgets":{"tokens":100,"cost":0.5}}""");
        var (_, got) = await world.SendAsync(HttpMethod.Get, $"/v2/sessions/{Id}");
        var (_, list) = await world.SendAsync(HttpMethod.Get, "/v2/sessions");
        var (deleted, _) = await world.SendAsync(HttpMethod.Delete, $"/v2/sessions/{Id}");
        var (gone, _) = await world.SendAsync(HttpMethod.Get, $"/v2/sessions/{Id}");

        put.ShouldBe(200);
        made.GetProperty("tokens_budget_remaining").GetInt64().ShouldBe(100);
        got.GetProperty("ttl_ms_remaining").GetInt64().ShouldBeInRange(1, 60000);
        got.GetProperty("time_budget_remaining_ms").ValueKind.ShouldBe(System.Text.Json.JsonValueKind.Null);
        got.GetProperty("cost_budget_remaining").GetDouble().ShouldBe(0.5);
        got.GetProperty("turns").GetInt32().ShouldBe(0);
        list.GetProperty("count").GetInt32().ShouldBe(1);
        deleted.ShouldBe(204);
        gone.ShouldBe(404);
        (await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"ttl_ms":1}""")).Status.ShouldBe(400);
        (await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"budgets":{"tokens":-1}}""")).Status.ShouldBe(400);
        (await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"budget":{}}""")).Body.GetProperty("message").GetString()!.ShouldContain("did you mean 'budgets'?");
    }

    [Fact]
    public async Task Task_OfASession_SettlesWhatItUsedAndEndsWithTheBudget()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Say("a", "b", "c");
        await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"budgets":{"tokens":20}}""");
        const string Body = $$"""{"model_ref":"demo","prompt":"the weaver","max_tokens":6,"session_id":"{{Id}}"}""";

        var first = await world.PostTaskIdAsync(Body);
        await world.UntilAsync(first, "completed");
        var (_, after) = await world.SendAsync(HttpMethod.Get, $"/v2/sessions/{Id}");
        await world.UntilAsync(await world.PostTaskIdAsync(Body), "completed");
        var (status, refused) = await world.SendAsync(HttpMethod.Post, "/v2/tasks", Body);

        after.GetProperty("tokens_budget_remaining").GetInt64().ShouldBe(12, "5 of the prompt and 3 of the answer");
        after.GetProperty("turns").GetInt32().ShouldBe(1);
        after.GetProperty("kv_warmth").GetDouble().ShouldBe(0.4);
        after.GetProperty("node").GetString().ShouldBe("node1");
        status.ShouldBe(429);
        refused.GetProperty("code").GetString().ShouldBe("BUDGET_EXHAUSTED");
        refused.GetProperty("retriable").GetBoolean().ShouldBeFalse();
    }

    [Fact]
    public async Task Tasks_100InParallel_NeverSpendMoreThanTheBudget()
    {
        await using var world = await TaskHarness.StartAsync(slots: 8);
        world.Say("a", "b", "c");
        await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"budgets":{"tokens":200}}""");

        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => world.SendAsync(
            HttpMethod.Post, "/v2/tasks", $$"""{"task_id":"p{{i}}","model_ref":"demo","prompt":"the weaver","max_tokens":6,"session_id":"{{Id}}"}""")));
        foreach (var (_, task) in answers.Where(a => a.Status == 202))
        {
            await world.UntilAsync(task.GetProperty("task_id").GetString()!, "completed");
        }

        var (_, session) = await world.SendAsync(HttpMethod.Get, $"/v2/sessions/{Id}");
        var ran = answers.Count(a => a.Status == 202);
        answers.ShouldAllBe(a => a.Status == 202 || a.Status == 429);
        ran.ShouldBeInRange(1, 25);
        session.GetProperty("tokens_budget_remaining").GetInt64().ShouldBe(200 - (8 * ran));
        session.GetProperty("turns").GetInt32().ShouldBe(ran);
    }

    [Fact]
    public async Task Inference_WithASession_TellsAndSpendsItsBudgetAndIsRefusedBeyondIt()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Engine.Answer = e => e.JsonAsync("""{"choices":[{"message":{"content":"x"}}],"usage":{"prompt_tokens":30,"completion_tokens":10}}""");
        await world.SendAsync(HttpMethod.Put, "/v2/sessions/chat-1", """{"budgets":{"tokens":100}}""");
        const string Chat = """{"model":"demo","max_tokens":50,"messages":[{"role":"user","content":"x"}]}""";
        void InSession(HttpRequestMessage request) => request.Headers.Add("x-loom-session", "chat-1");

        using var first = await world.Gateway.ChatAsync(Chat, InSession);
        await first.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        using var deadline = new CancellationTokenSource(TaskHarness.Deadline);
        while ((await world.SendAsync(HttpMethod.Get, "/v2/sessions/chat-1")).Body.GetProperty("tokens_budget_remaining").GetInt64() != 60)
        {
            deadline.IsCancellationRequested.ShouldBeFalse("the request was not settled");
        }

        using var second = await world.Gateway.ChatAsync(Chat, InSession);
        await second.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

        ((int)first.StatusCode).ShouldBe(200);
        first.Headers.GetValues("X-Budget-Tokens-Remaining").Single().ShouldBe("100");
        ((int)second.StatusCode).ShouldBe(429);
        (await second.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).ShouldContain("budget_exhausted");
    }

    [Fact]
    public async Task TimeBudget_RunsOut_EndsTheTask()
    {
        await using var world = await TaskHarness.StartAsync();
        world.Engine.Answer = async e =>
        {
            await TaskHarness.SayAsync(e, ["one"], end: false);
            await e.Aborted;
        };
        await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"budgets":{"time_ms":2000}}""");

        var events = await world.EventsAsync(await world.PostTaskIdAsync($$"""{"model_ref":"demo","prompt":"x","session_id":"{{Id}}"}"""));

        events[^1].Event.ShouldBe("error");
        events[^1].Data.GetProperty("code").GetString().ShouldBe("BUDGET_EXHAUSTED");
        (await world.SendAsync(HttpMethod.Get, $"/v2/sessions/{Id}")).Body.GetProperty("time_budget_remaining_ms").GetInt64().ShouldBe(0);
    }

    [Fact]
    public async Task CostBudget_OfAPricedPool_IsSpentByItsTokens()
    {
        await using var world = await TaskHarness.StartAsync(options: o => o with { Tasks = o.Tasks with { Prices = o.Tasks.Prices.Add("default", new Price(1_000_000, 2_000_000)) } });
        world.Say("a", "b", "c");
        await world.SendAsync(HttpMethod.Put, $"/v2/sessions/{Id}", """{"budgets":{"cost":30}}""");

        await world.UntilAsync(await world.PostTaskIdAsync($$"""{"model_ref":"demo","prompt":"the weaver","max_tokens":6,"session_id":"{{Id}}"}"""), "completed");

        (await world.SendAsync(HttpMethod.Get, $"/v2/sessions/{Id}")).Body.GetProperty("cost_budget_remaining").GetDouble().ShouldBe(30 - 5 - 6);
        (await world.SendAsync(HttpMethod.Post, "/v2/tasks", $$"""{"model_ref":"demo","prompt":"x","max_tokens":500,"session_id":"{{Id}}"}""")).Status.ShouldBe((int)HttpStatusCode.TooManyRequests);
    }
}
