using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Loom.Control;
using Loom.SystemTests.Clients;
using Loom.Testing;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Tasks;

public sealed class TaskRestartTests
{
    private const string Body = """{"model_ref":"demo","prompt":"the weaver","max_tokens":3}""";

    [Fact]
    public async Task OrderlyRestart_WaitingTasks_GoOnInOrderAndEndedOnesAreStillThere()
    {
        using var folder = new TempFolder();
        ControlOptions State(ControlOptions o) => o with { Tasks = o.Tasks with { StateFolder = folder.Path } };
        string running;
        string ended;
        var waiting = new List<string>();
        await using (var first = await TaskHarness.StartAsync(slots: 1, options: State))
        {
            first.Say("done");
            ended = await first.PostTaskIdAsync(Body);
            await first.UntilAsync(ended, "completed");
            first.Engine.Answer = async e =>
            {
                await TaskHarness.SayAsync(e, ["one"], end: false);
                await e.Aborted;
            };
            running = await first.PostTaskIdAsync(Body);
            await first.UntilAsync(running, "running");
            for (var i = 0; i < 5; i++)
            {
                waiting.Add(await first.PostTaskIdAsync($$"""{"task_id":"w{{i}}","model_ref":"demo","prompt":"number {{i}}"}"""));
            }

            await using var reader = await first.FollowAsync("w3", verbose: true);
            await first.Gateway.Plane.StopAsync(TimeSpan.Zero, TestContext.Current.CancellationToken);
            // Cut, not ended: it goes on after the restart.
            await Should.ThrowAsync<Exception>(reader.ToEndAsync);
        }

        await using var second = await TaskHarness.StartAsync(slots: 1, options: State, status: s => s with { State = ReplicaState.Starting });
        second.Say("after");
        second.Gateway.Publish(s => s with { State = ReplicaState.Ready });

        foreach (var id in waiting)
        {
            (await second.UntilAsync(id, "completed")).GetProperty("text").GetString().ShouldBe("after");
        }

        second.Engine.Seen.Select(e => JsonDocument.Parse(e.Body).RootElement.GetProperty("prompt").GetString()).ShouldBe(Enumerable.Range(0, 5).Select(i => $"number {i}"));
        (await second.UntilAsync(running, "failed")).GetProperty("error").GetProperty("code").GetString().ShouldBe("WORKER_RESET");
        (await second.UntilAsync(ended, "completed")).GetProperty("text").GetString().ShouldBe("done");
        (await second.EventsAsync(ended)).Single().Event.ShouldBe("end");
        (await second.SendAsync(HttpMethod.Get, "/v2/tasks")).Body.GetProperty("count").GetInt32().ShouldBe(7);
    }

    [Fact]
    public async Task Restart_BeforeAnyNodeHasSpoken_TasksWaitForOne()
    {
        using var folder = new TempFolder();
        ControlOptions State(ControlOptions o) => o with { Tasks = o.Tasks with { StateFolder = folder.Path } };
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (var first = await TaskHarness.StartAsync(slots: 1, options: State))
        {
            first.Engine.Answer = _ => gate.Task;
            await first.UntilAsync(await first.PostTaskIdAsync(Body), "running");
            await first.PostTaskIdAsync("""{"task_id":"w","model_ref":"other","prompt":"x"}""".Replace("other", "demo", StringComparison.Ordinal));
        }

        await using var second = await TaskHarness.StartAsync(options: State, status: s => s with { Model = "other", Models = ["other"] });
        second.Say("late");
        (await second.UntilAsync("w", "queued")).GetProperty("state").GetString().ShouldBe("queued");

        second.Gateway.Publish(s => s with { Model = "demo", Models = ["demo"] });

        (await second.UntilAsync("w", "completed")).GetProperty("text").GetString().ShouldBe("late");
    }

    [Fact]
    public async Task Restart_QueueTooSmallForThem_TasksComeInOneByOneInOrder()
    {
        using var folder = new TempFolder();
        ControlOptions State(ControlOptions o) => o with { Tasks = o.Tasks with { StateFolder = folder.Path } };
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using (var first = await TaskHarness.StartAsync(slots: 1, options: State))
        {
            first.Engine.Answer = _ => gate.Task;
            await first.UntilAsync(await first.PostTaskIdAsync(Body), "running");
            for (var i = 0; i < 4; i++)
            {
                await first.PostTaskIdAsync($$"""{"task_id":"w{{i}}","model_ref":"demo","prompt":"number {{i}}"}""");
            }
        }

        await using var second = await TaskHarness.StartAsync(
            slots: 1, options: o => State(o) with { Admission = o.Admission with { Capacity = 1 } }, status: s => s with { State = ReplicaState.Starting });
        second.Say("late");
        second.Gateway.Publish(s => s with { State = ReplicaState.Ready });

        for (var i = 0; i < 4; i++)
        {
            await second.UntilAsync($"w{i}", "completed");
        }

        second.Engine.Seen.Select(e => JsonDocument.Parse(e.Body).RootElement.GetProperty("prompt").GetString()).ShouldBe(Enumerable.Range(0, 4).Select(i => $"number {i}"));
    }

    [Fact]
    public async Task Journal_Broken_IsMovedAsideAndWhatStandsBeforeTheBreakGoesOn()
    {
        using var folder = new TempFolder();
        ControlOptions State(ControlOptions o) => o with { Tasks = o.Tasks with { StateFolder = folder.Path } };
        await using (var first = await TaskHarness.StartAsync(options: State))
        {
            first.Say("x");
            foreach (var id in new[] { "a", "b", "c" })
            {
                await first.PostTaskIdAsync($$"""{"task_id":"{{id}}","model_ref":"demo","prompt":"x"}""");
                await first.UntilAsync(id, "completed");
            }
        }

        var journal = Path.Combine(folder.Path, "tasks.journal");
        await File.WriteAllTextAsync(journal, (await File.ReadAllTextAsync(journal, TestContext.Current.CancellationToken)).Replace("\"task_id\":\"b\"", "\"task_id\":\"B\"", StringComparison.Ordinal), TestContext.Current.CancellationToken);

        await using var second = await TaskHarness.StartAsync(options: State);
        second.Say("y");

        Directory.GetFiles(folder.Path, "tasks.journal.broken-*").Length.ShouldBe(1);
        (await second.SendAsync(HttpMethod.Get, "/v2/tasks")).Body.GetProperty("count").GetInt32().ShouldBe(1);
        second.Gateway.Log.Lines.ShouldContain(l => l.Text.Contains("the journal of tasks is broken", StringComparison.Ordinal));
        await second.UntilAsync(await second.PostTaskIdAsync(Body), "completed");
    }

    [Fact]
    public async Task Journal_CannotBeWritten_Answers507AndV1StillServes()
    {
        using var folder = new TempFolder();
        var blocked = Path.Combine(folder.Path, "state");
        // A file where the folder should be: nothing can be stored.
        await File.WriteAllTextAsync(blocked, "", TestContext.Current.CancellationToken);
        await using var world = await TaskHarness.StartAsync(options: o => o with { Tasks = o.Tasks with { StateFolder = blocked } });

        var (status, error) = await world.SendAsync(HttpMethod.Post, "/v2/tasks", Body);
        using var chat = await world.Gateway.ChatAsync("""{"model":"demo","messages":[{"role":"user","content":"x"}]}""");
        var (_, list) = await world.SendAsync(HttpMethod.Get, "/v2/tasks");

        status.ShouldBe(507);
        error.GetProperty("code").GetString().ShouldBe("DISK_FULL");
        ((int)chat.StatusCode).ShouldBe(200);
        list.GetProperty("count").GetInt32().ShouldBe(0);
        (await world.SendAsync(HttpMethod.Get, "/health/detail", token: "run-token")).Body.ToString().ShouldContain("the journal of tasks cannot be opened");
    }

    [Fact]
    public async Task KillMinusNine_WithRunningAndWaitingTasks_LosesNone()
    {
        var toml = MockProject.Toml("--tokens-per-second", "20") + "slots = 1\n";
        var first = await RunningLoom.UpAsync(toml);
        using var client = new HttpClient();
        var ids = new List<string>();
        var done = await PostAsync(client, first.Api, """{"task_id":"done","model_ref":"demo","prompt":"x","max_tokens":1}""");
        await UntilAsync(client, first.Api, done, t => t.GetProperty("state").GetString() == "completed");
        ids.Add(done);
        ids.Add(await PostAsync(client, first.Api, """{"task_id":"run","model_ref":"demo","prompt":"x","max_tokens":1500}"""));
        await UntilAsync(client, first.Api, "run", t => t.GetProperty("state").GetString() == "running" && t.GetProperty("tokens_out").GetInt32() > 0);
        for (var i = 0; i < 6; i++)
        {
            ids.Add(await PostAsync(client, first.Api, $$"""{"task_id":"w{{i}}","model_ref":"demo","prompt":"{{i}}","max_tokens":2,"priority":"{{(i % 2 == 0 ? "batch" : "interactive")}}"}"""));
        }

        await first.KillAsync();
        await using var second = RunningLoom.Launch(first.Folder);
        await second.WaitReadyAsync();

        var ended = new List<(string Id, string State, long At)>();
        foreach (var id in ids)
        {
            var task = await UntilAsync(client, second.Api, id, t => t.GetProperty("ended_ms").ValueKind == JsonValueKind.Number);
            ended.Add((id, task.GetProperty("state").GetString()!, task.GetProperty("ended_ms").GetInt64()));
        }

        ended.ToDictionary(e => e.Id, e => e.State).ShouldBe(ids.ToDictionary(i => i, i => i == "run" ? "failed" : "completed"));
        var waited = ended.Where(e => e.Id[0] == 'w').OrderBy(e => e.At).ThenBy(e => e.Id, StringComparer.Ordinal).Select(e => e.Id).ToList();
        waited.ShouldBe(["w1", "w3", "w5", "w0", "w2", "w4"]);
        using var list = JsonDocument.Parse(await client.GetStringAsync(new Uri(second.Api, "/v2/tasks"), TestContext.Current.CancellationToken));
        list.RootElement.GetProperty("count").GetInt32().ShouldBe(ids.Count);
        (await UntilAsync(client, second.Api, "run", _ => true)).GetProperty("error").GetProperty("code").GetString().ShouldBe("WORKER_RESET");
    }

    private static async Task<string> PostAsync(HttpClient client, Uri api, string body)
    {
        using var content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        using var response = await client.PostAsync(new Uri(api, "/v2/tasks"), content, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        ((int)response.StatusCode).ShouldBe(202, text);
        using var json = JsonDocument.Parse(text);
        return json.RootElement.GetProperty("task_id").GetString()!;
    }

    private static async Task<JsonElement> UntilAsync(HttpClient client, Uri api, string id, Func<JsonElement, bool> condition)
    {
        using var deadline = new CancellationTokenSource(TaskHarness.Deadline);
        while (true)
        {
            var text = await client.GetStringAsync(new Uri(api, $"/v2/tasks/{id}"), TestContext.Current.CancellationToken);
            var task = JsonDocument.Parse(text).RootElement;
            if (condition(task))
            {
                return task;
            }

            deadline.IsCancellationRequested.ShouldBeFalse(text);
            await Task.Yield();
        }
    }
}
