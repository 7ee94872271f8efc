using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Agents.Project;
using Loom.Processes;
using Loom.Processes.Guarding;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Orchestration;

public sealed class AgentHostTests : IAsyncDisposable
{
    private readonly AgentWorld _world = new();

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact(Timeout = 300_000)]
    public async Task UpAndDown_Chain_StartsInOrderAndStopsInReverse()
    {
        await _world.UpAsync(_world.Project(_world.Agent("web", On("api")), _world.Agent("api", On("db")), _world.Agent("db"), _world.Agent("alone")));
        var agents = await _world.Host.SettledAsync(null, default);
        agents.ShouldAllBe(a => a.State == ProcessState.Ready && a.Reason == null);
        await _world.Host.StopAllAsync(default);
        _world.Order().Where(l => !l.EndsWith("alone")).ShouldBe(["start db", "start api", "start web", "stop web", "stop api", "stop db"]);
        _world.Run.Supervisor.Processes.ShouldAllBe(p => p.Pid == null);
    }

    [Fact(Timeout = 300_000)]
    public async Task Job_SucceedsOrFails_DependentsRunOrAreSkipped()
    {
        await _world.UpAsync(_world.Project(
            _world.Shell("good", "exit 0"),
            _world.Shell("bad", "exit 3") is var bad ? bad with { Processes = [bad.Processes[0] with { Restart = RestartPolicy.Never }] } : null!,
            _world.Agent("after-good", On("good", DependencyCondition.Succeeded)),
            _world.Agent("after-bad", On("bad", DependencyCondition.Succeeded)),
            _world.Agent("cleanup", On("bad", DependencyCondition.Ended))));
        var agents = await _world.Host.SettledAsync(null, default);
        agents.Select(a => $"{a.Name} {a.State}").ShouldBe(["good Completed", "bad Failed", "after-good Ready", "after-bad Skipped", "cleanup Ready"]);
        agents[3].Reason!.ShouldStartWith("needs bad to succeed, but bad failed: exit 3");
        var state = RunState.Read(_world.Run.Directory.State)!;
        await Deadline.Until(() => (state = RunState.Read(_world.Run.Directory.State)!).Processes.Any(p => p.State == "skipped"), "the file says so");
        state.Processes.Single(p => p.Name == "after-bad").Reason!.ShouldStartWith("needs bad to succeed");
    }

    [Fact(Timeout = 300_000)]
    public async Task Down_DuringTheStart_NothingIsLeftAndNothingStartsAfterwards()
    {
        for (var round = 0; round < 5; round++)
        {
            await using var world = new AgentWorld();
            await world.UpAsync(world.Project(world.Agent("c", On("b")), world.Agent("b", On("a")), world.Agent("a"), world.Shell("d", "exec sleep 600")));
            var lines = round;
            await Deadline.Until(() => world.Order().Length >= Math.Min(lines, 3), "it has come so far");
            await world.Host.StopAllAsync(default);
            world.Run.Supervisor.Processes.ShouldAllBe(p => p.Pid == null);
            var starts = world.Order().Count(l => l.StartsWith("start"));
            world.Host.PoolChanged("any", true, true, false);
            world.Host.Agents.ShouldAllBe(a => !a.Wanted);
            world.Order().Count(l => l.StartsWith("start")).ShouldBe(starts);
        }
    }

    [Fact(Timeout = 300_000)]
    public async Task StopAll_Hurry_EndsPatience()
    {
        var stubborn = _world.Shell("stubborn", "trap '' TERM; touch up; while :; do sleep 0.1; done");
        await _world.UpAsync(_world.Project(stubborn with { Processes = [stubborn.Processes[0] with { Grace = TimeSpan.FromMinutes(10) }] }, _world.Agent("db")));
        await Deadline.Until(() => File.Exists(_world["up"]), "it ignores TERM");
        using var hurry = new CancellationTokenSource();
        var stopping = _world.Host.StopAllAsync(hurry.Token);
        await _world.ReachAsync("stubborn", ProcessState.Stopping);
        await hurry.CancelAsync();
        await stopping.WaitAsync(TimeSpan.FromSeconds(120));
        _world.Run.Supervisor.Processes.ShouldAllBe(p => p.Pid == null);
    }

    [Fact(Timeout = 300_000)]
    public async Task OnDependencyRestart_Restart_FollowsAKilledDependency()
    {
        await _world.UpAsync(_world.Project(
            _world.Agent("db") is var db ? db with { Processes = [db.Processes[0] with { Restart = new RestartPolicy { BackoffFirst = TimeSpan.FromMilliseconds(10) } }] } : null!,
            _world.Agent("api", On("db")) with { RestartsWithDependencies = true }));
        await _world.Host.SettledAsync(null, default);
        var pid = Pid("db");
        Signals.Send(pid, 9);
        await Deadline.Until(() => _world.Order().Count(l => l == "start api") == 2, "api follows", TimeSpan.FromSeconds(60));
        await _world.Host.SettledAsync(null, default);
        _world.Host.Agents.Select(a => (a.Process!.Spawns, a.Process.Restarts)).ShouldBe([(2, 1), (2, 0)]);
    }

    [Fact(Timeout = 300_000)]
    public async Task Main_Ends_ItsCodeIsPublished()
    {
        var main = _world.Shell("main", "exit 7");
        await _world.UpAsync(_world.Project(main with { IsMain = true, Processes = [main.Processes[0] with { Restart = RestartPolicy.Never }] }, _world.Agent("helper")));
        (await _world.Host.MainEnded.WaitAsync(TimeSpan.FromSeconds(120))).ExitCode.ShouldBe(7);
    }

    /// <summary>The drill of section 15: a state file of another boot, and a pid that a stranger has now; nobody is signalled, agents start as if nothing had been.</summary>
    [Fact(Timeout = 600_000)]
    public Task Drill_StateOfAnotherBootOrReusedPid_NoStrangerIsSignalled() => Drill.RunAsync("state of another boot, reused pid", 4, 110, async round =>
    {
        await using var stranger = Child.Start("/", ["sleep", "600"]);
        var identity = ProcessIdentities.Of(stranger.Pid)!.Value;
        await using var world = new AgentWorld();
        var directory = RunDirectory.Prepare(world.Folder);
        var (boot, ticks) = round % 11 == 0 ? ("another", identity.StartTicks) : (RunState.CurrentBoot(), identity.StartTicks - 1 - round);
        new RunState
        {
            RunId = Guid.NewGuid().ToString("N"),
            BootId = boot,
            Mode = "full",
            StartedAt = default,
            LoomVersion = "test",
            Supervisor = new ProcessRef(stranger.Pid, ticks),
            Guardian = new ProcessRef(stranger.Pid, ticks),
            Socket = "none",
            Processes = [new ProcessRecord { Name = "a", Kind = "agent", State = "ready", Pid = stranger.Pid, StartTicks = ticks, Pgid = stranger.Pid, Log = "a", Err = "a" }],
        }.Write(directory.State);
        await world.UpAsync(world.Project(world.Shell("a", "exec sleep 600")));
        await world.Host.StopAllAsync(default);
        Leftovers.IsAlive(identity).ShouldBeTrue();
        stranger.Exited.IsCompleted.ShouldBeFalse();
    });

    /// <summary>The drills of section 15: two, and eight, at once.</summary>
    [Theory(Timeout = 600_000)]
    [InlineData(2, 50)]
    [InlineData(8, 10)]
    public Task Drill_UpAtOnce_OneRunsTheOthersFindIt(int together, int full) => Drill.RunAsync($"{together} up at once", 2, full, async _ =>
    {
        await using var world = new AgentWorld();
        var plan = world.Project(world.Shell("a", "exec sleep 600"));
        var options = new ProjectRunOptions { ProjectFolder = world.Folder, Executable = null, LoomVersion = "test", AdoptStrays = false };
        var runs = await Task.WhenAll(Enumerable.Range(0, together).Select(_ => Task.Run(() => ProjectRun.StartAsync(options, default))));
        var run = runs.Single(r => r is not null)!;
        await using var host = new AgentHost(plan, run.Supervisor, Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        run.ShowAgents(new ProjectAgents(host, _ => throw new PlanRefusedException("none")));
        await host.StartAsync(null, true, default);

        // What the others do: they find it, and start what is missing.
        var found = await Task.WhenAll(Enumerable.Range(1, together - 1).Select(_ => ProjectRun.FindLiveAsync(world.Folder, TimeProvider.System, TimeSpan.FromSeconds(30), default)));
        found.ShouldAllBe(s => s!.RunId == run.RunId);
        var replies = await Task.WhenAll(found.Select(s => new ControlClient(s!.Socket).AskAsync(new ControlRequest(ControlOps.Start), default)));
        replies.ShouldAllBe(r => r!.Ok);
        run.Supervisor.Processes.Single().Spawns.ShouldBe(1);
        await host.StopAllAsync(default);
        await run.DisposeAsync();
    });

    private int Pid(string name) => _world.Run.Supervisor.Processes.Single(p => p.Name == name).Pid!.Value;

    private static Dependency On(string target, DependencyCondition until = DependencyCondition.Ready) => new(target, DependencyKind.Agent, until);
}
