using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Loom.Control;
using Loom.Control.Nodes;
using Loom.SystemTests.Gateway;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Tasks;

public sealed class OperationTests
{
    [Fact]
    public async Task Pools_Shown_HaveReplicasStatesAndSlots()
    {
        await using var world = await World.StartAsync("n1", "n2");

        var (_, list) = await world.SendAsync(HttpMethod.Get, "/v2/pools");
        var (_, one) = await world.SendAsync(HttpMethod.Get, "/v2/pools/chat");
        var (_, health) = await world.SendAsync(HttpMethod.Get, "/v2/pools/chat/health");
        var (missing, error) = await world.SendAsync(HttpMethod.Get, "/v2/pools/chatt");

        list.GetProperty("count").GetInt32().ShouldBe(1);
        one.GetProperty("slots_total").GetInt32().ShouldBe(8);
        one.GetProperty("slots_free").GetInt32().ShouldBe(8);
        one.GetProperty("state").GetString().ShouldBe("ready");
        one.GetProperty("replicas").EnumerateArray().Select(r => r.GetProperty("node_id").GetString()).ShouldBe(["n1", "n2"]);
        health.GetProperty("ready").GetBoolean().ShouldBeTrue();
        health.GetProperty("metrics").GetProperty("slots_total").GetInt32().ShouldBe(8);
        missing.ShouldBe(404);
        error.GetProperty("message").GetString()!.ShouldContain("did you mean 'chat'?");
    }

    [Fact]
    public async Task Operation_OnAllNodes_RunsOneAfterTheOtherAndIsFollowedToItsEnd()
    {
        await using var world = await World.StartAsync("n1", "n2");
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Node = async (_, command, progress) =>
        {
            progress(Status(command, OperationState.Running, "stop"));
            await gate.Task;
            return Status(command, OperationState.Succeeded, "stop");
        };

        var (status, accepted) = await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/drain", """{"deadline_ms":5}""");
        var id = accepted.GetProperty("operation_id").GetString()!;
        var (conflict, second) = await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/undrain");
        var following = world.Client.GetStringAsync($"/v2/operations/{id}/events", TestContext.Current.CancellationToken);
        var (_, running) = await world.SendAsync(HttpMethod.Get, $"/v2/operations/{id}");
        gate.SetResult();
        var events = await following;
        var (_, ended) = await world.SendAsync(HttpMethod.Get, $"/v2/operations/{id}");

        status.ShouldBe(202);
        accepted.GetProperty("status").GetString().ShouldBe("running");
        running.GetProperty("status").GetString().ShouldBe("running");
        conflict.ShouldBe(409);
        second.GetProperty("message").GetString()!.ShouldContain(id);
        events.ShouldContain("event: end\ndata: ");
        ended.GetProperty("status").GetString().ShouldBe("succeeded");
        ended.GetProperty("kind").GetString().ShouldBe("drain");
        ended.GetProperty("pool_id").GetString().ShouldBe("chat");
        ended.GetProperty("steps").EnumerateArray().Select(s => s.GetProperty("group").GetString()).ShouldBe(["n1/chat", "n2/chat"]);
        world.Asked.Select(a => a.Node).ShouldBe(["n1", "n2"]);
        ((PoolCommand.Drain)world.Asked.First().Command).DeadlineMs.ShouldBe(5);
    }

    [Fact]
    public async Task Reload_FailsOnTheSecondNode_IsUndoneOnTheFirst()
    {
        await using var world = await World.StartAsync("n1", "n2");
        world.Node = (node, command, _) => Task.FromResult(node == "n2"
            ? Status(command, OperationState.RolledBack, "start") with { Error = "no such file" }
            : Status(command, OperationState.Succeeded, "start"));

        var (status, ended) = await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/reload?wait=true", """{"new_model_ref":"new"}""");

        status.ShouldBe(409);
        ended.GetProperty("status").GetString().ShouldBe("rolled_back");
        ended.GetProperty("error").GetString().ShouldBe("node 'n2': no such file");
        world.Asked.Select(a => (a.Node, ((PoolCommand.Reload)a.Command).NewModelRef)).ShouldBe([("n1", "new"), ("n2", "new"), ("n1", "demo")]);
    }

    [Fact]
    public async Task Reload_OldModelDoesNotComeBack_IsAFailure()
    {
        await using var world = await World.StartAsync("n1", "n2");
        world.Node = (node, command, _) => Task.FromResult(
            node == "n2" || ((PoolCommand.Reload)command).NewModelRef == "demo"
                ? Status(command, node == "n2" ? OperationState.RolledBack : OperationState.Failed, "start") with { Error = "broken" }
                : Status(command, OperationState.Succeeded, "start"));

        var (status, ended) = await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/reload?wait=true", """{"new_model_ref":"new"}""");

        status.ShouldBe(500);
        ended.GetProperty("status").GetString().ShouldBe("failed");
        ended.GetProperty("error").GetString()!.ShouldContain("node 'n1' has the new model and cannot go back to 'demo'");
    }

    [Fact]
    public async Task Operation_BadBodies_AreRefusedBeforeAnyNodeIsAsked()
    {
        await using var world = await World.StartAsync("n1");

        (await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/reload", "{}")).Status.ShouldBe(400);
        (await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/drain", """{"deadline_ms":-1}""")).Status.ShouldBe(400);
        var (status, error) = await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/purge", """{"drain_frist":true}""");
        status.ShouldBe(400);
        error.GetProperty("message").GetString()!.ShouldContain("did you mean 'drain_first'?");
        (await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/preload", """{"model_ref":"a","prepared":{"pool_id":"chat"}}""")).Status.ShouldBe(400);
        (await world.SendAsync(HttpMethod.Get, "/v2/operations/none")).Status.ShouldBe(404);
        world.Asked.ShouldBeEmpty();
    }

    [Fact]
    public async Task Catalog_RegisterFetchVerifyAndDelete()
    {
        await using var world = await World.StartAsync("n1", "n2");
        world.Node = (_, command, _) => Task.FromResult(Status(command, OperationState.Succeeded, "model"));
        var digest = "sha256:" + new string('a', 64);
        var body = $$"""{"id":"coder","digest":"{{digest}}","source_url":"https://models.example/coder.gguf","tags":["code"],"fetch":true}""";

        (await world.SendAsync(HttpMethod.Post, "/v2/catalog/models", body)).Status.ShouldBe(201);
        (await world.SendAsync(HttpMethod.Post, "/v2/catalog/models", body.Replace(",\"fetch\":true", "", StringComparison.Ordinal))).Status.ShouldBe(200);
        (await world.SendAsync(HttpMethod.Post, "/v2/catalog/models", $$"""{"id":"coder","digest":"sha256:{{new string('b', 64)}}"}""")).Status.ShouldBe(409);
        var (_, list) = await world.SendAsync(HttpMethod.Get, "/v2/catalog/models");
        var (verified, ended) = await world.SendAsync(HttpMethod.Post, "/v2/catalog/models/demo/verify?wait=true");
        var (inUse, _) = await world.SendAsync(HttpMethod.Delete, "/v2/catalog/models/demo");
        var (gone, _) = await world.SendAsync(HttpMethod.Delete, "/v2/catalog/models/coder");
        var (missing, _) = await world.SendAsync(HttpMethod.Delete, "/v2/catalog/models/coder");
        var (_, availability) = await world.SendAsync(HttpMethod.Get, "/v2/catalog/availability");

        list.GetProperty("models").EnumerateArray().Select(m => m.GetProperty("id").GetString()).ShouldBe(["coder", "demo"]);
        world.Asked.Where(a => a.Command is PoolCommand.Fetch { Sha256.Length: 64 }).Select(a => a.Node).ShouldBe(["n1", "n2"]);
        verified.ShouldBe(200, ended.ToString());
        world.Asked.Count(a => a.Command is PoolCommand.Verify { ModelId: "demo" }).ShouldBe(2);
        inUse.ShouldBe(409);
        gone.ShouldBe(204);
        missing.ShouldBe(404);
        availability.GetProperty("replicated_models").GetInt32().ShouldBe(1);
        availability.GetProperty("models")[0].GetProperty("total_capacity").GetInt32().ShouldBe(8);
    }

    [Theory]
    [InlineData("")]
    [InlineData("?wait=true")]
    public async Task Operation_NodeIsBusyWithSomethingElse_Is409WithItsWords(string query)
    {
        await using var world = await World.StartAsync("n1", "n2");
        world.Node = (_, command, _) => Task.FromResult(Status(command, OperationState.Failed, "x") with { IsConflict = true, Error = "busy with a swap" });

        var (reload, error) = await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/reload" + query, """{"new_model_ref":"other"}""");
        var (drain, _) = await world.SendAsync(HttpMethod.Post, "/v2/pools/chat/drain" + query);

        reload.ShouldBe(409, error.ToString());
        error.GetProperty("code").GetString().ShouldBe("CONFLICT");
        error.GetProperty("message").GetString()!.ShouldContain("busy with a swap");
        drain.ShouldBe(409);
        world.Asked.Count(a => a.Command is PoolCommand.Reload).ShouldBe(1, "the second node is not asked to reload");
    }

    [Fact]
    public async Task Catalog_SamePostWhileItsFetchRuns_JoinsIt()
    {
        await using var world = await World.StartAsync("n1");
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        world.Node = async (_, command, _) =>
        {
            await gate.Task;
            return Status(command, OperationState.Succeeded, "model");
        };
        const string Body = """{"id":"coder","source_url":"https://models.example/coder.gguf","fetch":true}""";

        var (first, one) = await world.SendAsync(HttpMethod.Post, "/v2/catalog/models", Body);
        var (second, two) = await world.SendAsync(HttpMethod.Post, "/v2/catalog/models", Body);
        gate.SetResult();

        first.ShouldBe(201);
        second.ShouldBe(200, two.ToString());
        two.GetProperty("fetch").GetProperty("id").GetString().ShouldBe(one.GetProperty("fetch").GetProperty("id").GetString());
    }

    [Fact]
    public async Task Verify_FileOnANodeWhosePoolsDoNotListIt_IsChecked()
    {
        await using var world = await World.StartAsync("n1", "n2");
        var has = "n2";
        world.Node = (node, command, _) =>
        {
            var status = Status(command, OperationState.Succeeded, "model");
            return Task.FromResult(node == has ? status : status with { Steps = [status.Steps[0] with { Phase = OperationStep.Absent }] });
        };
        await world.SendAsync(HttpMethod.Post, "/v2/catalog/models", """{"id":"coder"}""");

        (await world.SendAsync(HttpMethod.Post, "/v2/catalog/models/coder/verify?wait=true")).Status.ShouldBe(200);
        has = "";
        var (_, nowhere) = await world.SendAsync(HttpMethod.Post, "/v2/catalog/models/coder/verify?wait=true");

        nowhere.GetProperty("error").GetString()!.ShouldContain("no node has a file of model 'coder'");
    }

    [Fact]
    public async Task Catalog_Retired_IsNoLongerOfferedUntilActiveAgain()
    {
        await using var world = await World.StartAsync("n1");

        var (status, _) = await world.SendAsync(HttpMethod.Post, "/v2/catalog/models/demo/state?wait=true", """{"state":"Retired","deadline_ms":100}""");
        var (chat, _) = await world.SendAsync(HttpMethod.Post, "/v1/chat/completions", """{"model":"demo","messages":[{"role":"user","content":"x"}]}""");
        var (byDefault, _) = await world.SendAsync(HttpMethod.Post, "/v1/chat/completions", """{"model":"chat-alias","messages":[{"role":"user","content":"x"}]}""");
        var (_, entry) = await world.SendAsync(HttpMethod.Get, "/v2/catalog/models/demo");
        await world.SendAsync(HttpMethod.Post, "/v2/catalog/models/demo/state?wait=true", """{"state":"Active"}""");
        var (again, _) = await world.SendAsync(HttpMethod.Get, "/v1/models/demo");
        var (wrong, _) = await world.SendAsync(HttpMethod.Post, "/v2/catalog/models/demo/state", """{"state":"retired"}""");

        status.ShouldBe(200);
        chat.ShouldBe(404);
        byDefault.ShouldBe(404);
        entry.GetProperty("state").GetString().ShouldBe("Retired");
        again.ShouldBe(200);
        wrong.ShouldBe(400);
    }

    [Fact]
    public async Task Artifacts_SameContent_IsOneArtifact()
    {
        await using var world = await World.StartAsync("n1");

        var (first, one) = await world.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"kind":"plan","content":{"b":1,"a":[1.0]},"tags":["t1"]}""");
        var (again, same) = await world.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"content":{ "a":[1], "b":1 },"kind":"plan"}""");
        var (_, other) = await world.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"kind":"diff","content":{"b":1,"a":[1.0]}}""");
        var id = one.GetProperty("id").GetString()!;
        var (_, read) = await world.SendAsync(HttpMethod.Get, $"/v2/artifacts/{id}");
        var (_, byTag) = await world.SendAsync(HttpMethod.Get, "/v2/artifacts?kind=plan&tag=t1");
        var (_, none) = await world.SendAsync(HttpMethod.Get, "/v2/artifacts?kind=diff&tag=t1");

        first.ShouldBe(201);
        again.ShouldBe(200);
        same.GetProperty("id").GetString().ShouldBe(id);
        one.GetProperty("digest").GetString().ShouldBe("sha256:" + id);
        other.GetProperty("id").GetString().ShouldNotBe(id);
        read.GetProperty("content").GetProperty("b").GetInt32().ShouldBe(1);
        byTag.GetProperty("count").GetInt32().ShouldBe(1);
        none.GetProperty("count").GetInt32().ShouldBe(0);
        (await world.SendAsync(HttpMethod.Get, "/v2/artifacts/..%2f..%2fetc")).Status.ShouldBe(400);
        (await world.SendAsync(HttpMethod.Get, $"/v2/artifacts/{new string('0', 64)}")).Status.ShouldBe(404);
        (await world.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"kind":"poem","content":1}""")).Status.ShouldBe(400);
        (await world.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"kind":"plan"}""")).Status.ShouldBe(400);
        (await world.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"kind":"plan","content":2,"parent":"x"}""")).Status.ShouldBe(400);
    }

    [Fact]
    public async Task State_OnDisk_IsThereAfterARestartAndChangedFilesAreTold()
    {
        using var folder = new Loom.Testing.TempFolder();
        string id;
        string other;
        await using (var first = await World.StartAsync(folder.Path, "n1"))
        {
            id = (await first.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"kind":"plan","content":1}""")).Body.GetProperty("id").GetString()!;
            other = (await first.SendAsync(HttpMethod.Post, "/v2/artifacts", """{"kind":"plan","content":2}""")).Body.GetProperty("id").GetString()!;
            await first.SendAsync(HttpMethod.Post, "/v2/catalog/models", """{"id":"coder","source_url":"hf:a/b/c.gguf"}""");
            await first.SendAsync(HttpMethod.Post, "/v2/catalog/models/demo/state?wait=true", """{"state":"Retired"}""");
        }

        var file = Path.Combine(folder.Path, "artifacts", other[..2], other + ".json");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)).Replace("\"content\":2", "\"content\":3", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        await using var second = await World.StartAsync(folder.Path, "n1");

        (await second.SendAsync(HttpMethod.Get, $"/v2/artifacts/{id}")).Status.ShouldBe(200);
        (await second.SendAsync(HttpMethod.Get, $"/v2/artifacts/{other}")).Status.ShouldBe(404);
        (await second.SendAsync(HttpMethod.Get, "/v2/catalog/models/coder")).Body.GetProperty("source_url").GetString().ShouldBe("hf:a/b/c.gguf");
        (await second.SendAsync(HttpMethod.Get, "/v1/models/demo")).Status.ShouldBe(404);
    }

    private static OperationStatus Status(PoolCommand command, OperationState state, string step) => new()
    {
        Id = "node's own",
        Kind = command.Word,
        PoolId = command.PoolId,
        Status = state,
        Steps = [new OperationStep { Step = step, Kind = "drain", Status = state == OperationState.Running ? "running" : "completed" }],
    };

    /// <summary>A control plane over nodes that do what a test says.</summary>
    private sealed class World : IAsyncDisposable, INodeLink
    {
        private readonly ControlPlane _plane;

        private World(string? folder)
        {
            var options = new ControlOptions();
            options = options with
            {
                Api = options.Api with { Bind = new IPEndPoint(IPAddress.Loopback, 0), MetricsPort = null, RunToken = "run-token" },
                Tasks = options.Tasks with { StateFolder = folder },
            };
            _plane = new ControlPlane(options, this, TimeProvider.System, new Random(1), new ListLog());
        }

        public HttpClient Client { get; private set; } = null!;

        public ConcurrentQueue<(string Node, PoolCommand Command)> Asked { get; } = new();

        public Func<string, PoolCommand, Action<OperationStatus>, Task<OperationStatus>> Node { get; set; } =
            (_, command, _) => Task.FromResult(Status(command, OperationState.Succeeded, "step"));

        public static Task<World> StartAsync(params string[] nodes) => nodes[0].Contains('/', StringComparison.Ordinal)
            ? StartIn(nodes[0], nodes[1..])
            : StartIn(null, nodes);

        public void ReportFault(ReplicaId replica, string reason)
        {
        }

        public Task<OperationStatus> RunAsync(string nodeId, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel)
        {
            Asked.Enqueue((nodeId, command));
            return Node(nodeId, command, progress);
        }

        public async Task<(int Status, JsonElement Body)> SendAsync(HttpMethod method, string path, string? body = null)
        {
            using var request = new HttpRequestMessage(method, path);
            if (body is not null)
            {
                request.Content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");
            }

            using var response = await Client.SendAsync(request);
            var text = await response.Content.ReadAsStringAsync();
            return ((int)response.StatusCode, text.Length == 0 ? default : JsonDocument.Parse(text).RootElement);
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await _plane.DisposeAsync();
        }

        private static async Task<World> StartIn(string? folder, string[] nodes)
        {
            var world = new World(folder);
            foreach (var node in nodes)
            {
                world._plane.Nodes.TellLocal(
                    new NodeRegistration { NodeId = node, MachineId = node, InstanceId = node, Address = "http://127.0.0.1:1", Pools = ["chat"] },
                    [
                        new ReplicaStatus
                        {
                            Id = new ReplicaId(node, "chat", "r0"),
                            State = ReplicaState.Ready,
                            EngineKind = "mock",
                            Model = "demo",
                            Models = ["demo"],
                            Aliases = ["chat-alias"],
                            SlotsTotal = 4,
                            Url = "http://127.0.0.1:1/v1",
                        },
                    ]);
            }

            await world._plane.StartAsync(CancellationToken.None);
            world.Client = new HttpClient { BaseAddress = world._plane.ApiAddress, Timeout = TaskHarness.Deadline };
            world.Client.DefaultRequestHeaders.Authorization = new("Bearer", "run-token");
            return world;
        }
    }
}
