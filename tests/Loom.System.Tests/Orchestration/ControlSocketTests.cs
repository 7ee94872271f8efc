using System.Collections.Immutable;
using System.Net.Sockets;
using System.Text;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Agents.Project;
using Loom.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Orchestration;

public sealed class ControlSocketTests : IAsyncDisposable
{
    private readonly AgentWorld _world = new();

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact(Timeout = 300_000)]
    public async Task Steer_NamesReplicasAndDependencies_ActThroughTheOwner()
    {
        var workers = _world.Agent("worker") with
        {
            Processes = [.. Enumerable.Range(1, 2).Select(i => _world.Process($"worker-{i}", ["sleep", "600"]) with { Replica = i - 1 })],
            DependsOn = [On("db")],
        };
        await _world.UpAsync(_world.Project(_world.Agent("db"), workers, _world.Agent("other")));
        await _world.Host.SettledAsync(null, default);

        var stopped = (await _world.AskAsync(new ControlRequest(ControlOps.Stop) { Names = ["worker-2", "other"] }))!;
        stopped.Ok.ShouldBeTrue(stopped.Error);
        States(stopped).ShouldBe("db ready, worker-1 ready, worker-2 stopped, other stopped");
        stopped.State!.Processes.Single(p => p.Name == "worker-2").Replica.ShouldBe(1);

        States((await _world.AskAsync(ControlOps.Stop, "db"))!).ShouldBe("db stopped, worker-1 skipped, worker-2 stopped, other stopped");
        var waited = (await _world.AskAsync(new ControlRequest(ControlOps.Start) { Names = ["worker"], Wait = true, TimeoutMs = 60_000 }))!;
        waited.Outcome.ShouldBe(WaitOutcome.Met);
        States(waited).ShouldBe("db ready, worker-1 ready, worker-2 ready, other stopped");

        var before = waited.State!.Processes.Single(p => p.Name == "db").Pid;
        var restarted = (await _world.AskAsync(new ControlRequest(ControlOps.Restart) { Names = ["db"], NoDeps = true, Wait = true }))!;
        restarted.Outcome.ShouldBe(WaitOutcome.Met);
        restarted.State!.Processes.Single(p => p.Name == "db").Pid.ShouldNotBe(before);
        (await _world.AskAsync(ControlOps.Start))!.Ok.ShouldBeTrue();
        await _world.ReachAsync("other", ProcessState.Ready);
    }

    [Fact(Timeout = 300_000)]
    public async Task Steer_UnknownNameOrRequest_IsRefusedInWords()
    {
        await _world.UpAsync(_world.Project(_world.Agent("researcher")));
        var unknown = (await _world.AskAsync(ControlOps.Stop, "researcher", "reseacher"))!;
        unknown.Refusal.ShouldBe(ControlRefusal.UnknownName);
        unknown.Nearest.ShouldBe("researcher");
        unknown.Error!.ShouldContain("there is no agent 'reseacher'; did you mean 'researcher'?");
        (await _world.AskAsync("teleport"))!.Refusal.ShouldBe(ControlRefusal.UnknownRequest);
        (await _world.AskAsync(new ControlRequest(ControlOps.Wait) { For = "godot" }))!.Refusal.ShouldBe(ControlRefusal.BadRequest);

        // Another loom's request with a field this one does not know is served; nonsense is answered, too.
        (await RawAsync("""{"op":"status","colour":"blue","names":["researcher"]}""")).ShouldContain("\"ok\":true");
        (await RawAsync("""{"op":"beam","names":["x"]}""")).ShouldContain("\"refusal\":\"unknown_request\"");
        (await RawAsync("hello")).ShouldContain("\"refusal\":\"bad_request\"");
        (await RawAsync("{}")).ShouldContain("\"refusal\":\"bad_request\"");
        (await RawAsync("null")).ShouldContain("\"refusal\":\"bad_request\"");
    }

    [Fact(Timeout = 300_000)]
    public async Task Wait_ReadyFailedTimeoutEnded_EachSaysHowItEnded()
    {
        var bad = _world.Shell("bad", "exit 3");
        var slow = _world.Shell("slow", "exec sleep 600");
        await _world.UpAsync(_world.Project(
            _world.Agent("good"),
            bad with { Processes = [bad.Processes[0] with { Restart = RestartPolicy.Never }] },
            slow with { Processes = [slow.Processes[0] with { Ready = _world.FileExists("never") with { Within = TimeSpan.FromMinutes(10) } }] }));
        (await _world.AskAsync(ControlOps.Wait, "good"))!.Outcome.ShouldBe(WaitOutcome.Met);
        (await _world.AskAsync(ControlOps.Wait, "good", "bad"))!.Outcome.ShouldBe(WaitOutcome.Failed);
        (await _world.AskAsync(new ControlRequest(ControlOps.Wait) { Names = ["slow"], TimeoutMs = 50 }))!.Outcome.ShouldBe(WaitOutcome.Timeout);
        (await _world.AskAsync(new ControlRequest(ControlOps.Wait) { Names = ["bad"], For = "ended" }))!.Outcome.ShouldBe(WaitOutcome.Met);
        (await _world.AskAsync(new ControlRequest(ControlOps.Wait) { Names = ["good"], For = "ended", TimeoutMs = 50 }))!.Outcome.ShouldBe(WaitOutcome.Timeout);
        (await _world.AskAsync(ControlOps.Wait, "nobody"))!.Refusal.ShouldBe(ControlRefusal.UnknownName);
    }

    [Fact(Timeout = 300_000)]
    public async Task Wait_ClientsLeave_NobodyWaitsForThemAnyMore()
    {
        var slow = _world.Shell("slow", "exec sleep 600");
        await _world.UpAsync(_world.Project(slow with { Processes = [slow.Processes[0] with { Ready = _world.FileExists("never") with { Within = TimeSpan.FromMinutes(10) } }] }));
        using var leaving = new CancellationTokenSource();
        var waits = Enumerable.Range(0, 20).Select(_ => _world.Client.AskAsync(new ControlRequest(ControlOps.Wait) { Names = ["slow"] }, leaving.Token)).ToList();
        await Deadline.Until(() => _world.Host.Waiting == 20, "they wait", TimeSpan.FromSeconds(60));
        await leaving.CancelAsync();
        foreach (var wait in waits)
        {
            await Should.ThrowAsync<OperationCanceledException>(() => wait);
        }

        await Deadline.Until(() => _world.Host.Waiting == 0, "they are forgotten", TimeSpan.FromSeconds(60));
    }

    [Fact(Timeout = 300_000)]
    public async Task Apply_ChangedFile_DriftFirstThenANewGeneration()
    {
        await _world.UpAsync(_world.Project(_world.Agent("keep"), _world.Agent("gone"), _world.Shell("old", "exec sleep 600")));
        await _world.Host.SettledAsync(null, default);
        var refused = (await _world.AskAsync(ControlOps.Apply))!;
        refused.Refusal.ShouldBe(ControlRefusal.BadConfiguration);
        refused.Error.ShouldBe("loom.toml:1:1: error");

        var pids = _world.Run.Supervisor.Processes.ToDictionary(p => p.Name, p => p.Pid);
        _world.Next = () => _world.Project(_world.Agent("keep"), _world.Shell("old", "exec sleep 601"), _world.Agent("new", On("old")));
        var drift = (await _world.AskAsync(ControlOps.Drift))!;
        drift.Changes!.Value.ShouldBe([new("gone", "removed"), new("keep", "unchanged"), new("new", "added"), new("old", "changed")]);
        drift.State!.Generation.ShouldBe(1);

        var applied = (await _world.AskAsync(ControlOps.Apply))!;
        applied.Changes!.Value.ShouldBe(drift.Changes.Value);
        applied.State!.Generation.ShouldBe(2);
        applied.State.ConfigSha256.ShouldBe("next");
        await _world.Host.SettledAsync(null, default);
        var after = _world.Run.Supervisor.Processes.ToDictionary(p => p.Name, p => p.Pid);
        after.Keys.ShouldBe(["keep", "old", "new"], ignoreOrder: true);
        after["keep"].ShouldBe(pids["keep"]);
        after["old"].ShouldNotBe(pids["old"]);
        await Deadline.Until(() => RunState.Read(_world.Run.Directory.State) is { Generation: 2, ConfigSha256: "next" }, "the file says so");
        (await _world.AskAsync(ControlOps.Drift))!.Changes!.Value.ShouldAllBe(c => c.Change == "unchanged");
    }

    [Fact(Timeout = 300_000)]
    public async Task Apply_SystemsRefuse_NothingOfItIsInForce()
    {
        await _world.UpAsync(_world.Project(_world.Agent("keep")));
        var systems = new RefusingSystems();
        _world.Run.ShowSystems(systems);
        _world.Next = () => _world.Project(_world.Agent("keep"), _world.Agent("new"));

        var refused = (await _world.AskAsync(ControlOps.Apply))!;

        (refused.Refusal, refused.Error).ShouldBe((ControlRefusal.NotNow, "the address is in use"));
        (_world.Run.State.Generation, _world.Run.State.ConfigSha256).ShouldBe((1, null));
        systems.Refuses = false;
        var applied = (await _world.AskAsync(ControlOps.Apply))!;
        (applied.State!.Generation, applied.State.ConfigSha256).ShouldBe((2, "next"));
    }

    private sealed class RefusingSystems : IProjectSystems
    {
        public bool Refuses { get; set; } = true;

        public ImmutableArray<SystemRecord> Records => [];

        public Task StartAsync(string name, CancellationToken ct) => Task.CompletedTask;

        public Task StopAsync(string name, CancellationToken ct) => Task.CompletedTask;

        public ImmutableArray<ControlChange> Drift(ImmutableArray<SystemListing> listed) => [];

        public Task<ImmutableArray<ControlChange>> ApplyAsync(ImmutableArray<SystemListing> listed, CancellationToken ct) =>
            Refuses ? throw new InvalidOperationException("the address is in use") : Task.FromResult<ImmutableArray<ControlChange>>([]);
    }

    [Fact(Timeout = 300_000)]
    public async Task State_AgentsWithoutAProcess_AreListedWithTheirReason()
    {
        var plan = _world.Project(_world.Agent("first"), _world.Agent("waits", new Dependency("chat", DependencyKind.Pool, DependencyCondition.Ready)), _world.Agent("third"));
        await _world.UpAsync(plan with { Agents = [] });
        _world.Next = () => plan with { Agents = [plan.Agents[1]] };
        (await _world.AskAsync(ControlOps.Apply))!.State!.Processes.Select(p => (p.Name, p.State, p.Reason)).ShouldBe([("waits", "pending", "waits for pools.chat to be ready")]);

        await using var host = new AgentHost(plan, _world.Run.Supervisor, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        _world.Run.ShowAgents(new ProjectAgents(host, _ => throw new PlanRefusedException("none")));
        await host.StartAsync(["first"], true, default);
        _world.Run.State.Processes.Where(p => p.Name == "third").Select(p => (p.State, p.Reason, p.Pid, p.SpecSha256 is not null)).ShouldBe([("stopped", "not started", null, true)]);
    }

    private static string States(ControlReply reply) => string.Join(", ", reply.State!.Processes.Select(p => $"{p.Name} {p.State}"));

    private async Task<string> RawAsync(string line)
    {
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_world.Run.Directory.Socket));
        await socket.SendAsync(Encoding.UTF8.GetBytes(line + "\n"));
        using var reader = new StreamReader(new NetworkStream(socket));
        return await reader.ReadLineAsync() ?? "";
    }

    private static Dependency On(string target) => new(target, DependencyKind.Agent, DependencyCondition.Ready);
}
