using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Processes;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;
using static Loom.Fast.Tests.Orchestration.Plans;

namespace Loom.Fast.Tests.Orchestration;

public sealed class AgentHostTests : IAsyncDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);
    private readonly FakeSupervisor _supervisor = new();

    public ValueTask DisposeAsync() => _supervisor.DisposeAsync();

    [Fact]
    public async Task Start_PoolThenDependency_SettlesInOrder()
    {
        await using var host = Host(Project(Agent("api", "db"), Agent("db", "pools.chat")));
        await host.StartAsync(null, true, default);
        host.Agents.Select(a => a.Reason).ShouldBe(["waits for db to be ready", "waits for pools.chat to be ready"]);
        var seen = new List<string>();
        var settled = host.SettledAsync(all => seen.Add(string.Join(' ', all.Select(a => a.State))), default);
        host.PoolChanged("chat", started: true, ready: true, failed: false);
        await ReachAsync(host, "db", ProcessState.Running);
        _supervisor.Tell("db", ProcessState.Ready);
        await ReachAsync(host, "api", ProcessState.Running);
        _supervisor.Tell("api", ProcessState.Failed, reason: "exit 1");
        (await settled.WaitAsync(s_deadline)).Select(a => (a.Name, a.State, a.IsWell)).ShouldBe([("api", ProcessState.Failed, false), ("db", ProcessState.Ready, true)]);
        seen[0].ShouldBe("Pending Pending");
        seen[^1].ShouldBe("Failed Ready");
    }

    [Fact]
    public async Task StopAll_Order_IsReverseAndHurryIsPassedOn()
    {
        await using var host = Host(Project(Agent("db"), Agent("api", "db")));
        await host.StartAsync(null, true, default);
        _supervisor.Tell("db", ProcessState.Ready);
        await ReachAsync(host, "api", ProcessState.Running);
        using var hurry = new CancellationTokenSource();
        await host.StopAllAsync(hurry.Token).WaitAsync(s_deadline);
        _supervisor.Calls.Where(c => c.StartsWith("stop")).ShouldBe(["stop api", "stop db"]);
        _supervisor.Hurried.ShouldBeFalse();
        await host.StopAllAsync(new CancellationToken(canceled: true)).WaitAsync(s_deadline);
        _supervisor.Hurried.ShouldBeTrue();
        (await Should.ThrowAsync<InvalidOperationException>(() => host.StartAsync(null, true, default))).Message.ShouldContain("is being stopped");
    }

    [Fact]
    public async Task Stop_Survivors_AreThrownAndNothingHangs()
    {
        await using var host = Host(Project(Agent("a")));
        await host.StartAsync(["a"], true, default);
        _supervisor.StopFault = new SurvivorsException(["42 (stuck)"]);
        (await Should.ThrowAsync<SurvivorsException>(() => host.StopAsync(["a"], false, default).WaitAsync(s_deadline))).Survivors.ShouldBe(["42 (stuck)"]);
        host.Agents.Single().State.ShouldBe(ProcessState.Failed);
    }

    [Fact]
    public async Task Restart_Survivors_AreThrownAndNothingStartsBesideThem()
    {
        await using var host = Host(Project(Agent("a")));
        await host.StartAsync(["a"], true, default);
        _supervisor.StopFault = new SurvivorsException(["42 (stuck)"]);
        (await Should.ThrowAsync<SurvivorsException>(() => host.RestartAsync(["a"], false, default).WaitAsync(s_deadline))).Survivors.ShouldBe(["42 (stuck)"]);
        host.Agents.Single().State.ShouldBe(ProcessState.Failed);
        await host.StartAsync(["a"], true, default);
        await host.ApplyAsync(Project(Agent("a").With(p => p with { Command = ["other"] })), default).WaitAsync(s_deadline);
        host.Agents.Single().State.ShouldBe(ProcessState.Failed);
        _supervisor.Calls.Count(c => c == "start a").ShouldBe(2); // the first, and the one asked for by name
    }

    [Fact]
    public async Task Apply_Second_WaitsForTheFirst()
    {
        await using var host = Host(Project(Agent("a")));
        await host.StartAsync(null, true, default);
        var stopped = _supervisor.HoldStops();
        var first = host.ApplyAsync(Project(), default);
        var second = host.ApplyAsync(Project(Agent("a")), default);
        using var gone = new CancellationTokenSource();
        var third = host.ApplyAsync(Project(Agent("b")), gone.Token);
        await gone.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => third);
        second.IsCompleted.ShouldBeFalse();
        stopped.SetResult();
        (await first.WaitAsync(s_deadline)).Generation.ShouldBe(2);
        (await second.WaitAsync(s_deadline)).Generation.ShouldBe(3);
        _supervisor.Calls.ShouldBe(["add a", "start a", "stop a", "remove a", "add a", "start a"]);
    }

    [Fact]
    public async Task Start_SupervisorRefuses_FailsWithItsWords()
    {
        _supervisor.StartFault = new ObjectDisposedException(null, "the supervisor failed: no memory");
        await using var host = Host(Project(Agent("a"), Agent("b", "a")));
        await host.StartAsync(null, true, default).WaitAsync(s_deadline);
        var agents = await host.SettledAsync(null, default).WaitAsync(s_deadline);
        agents[0].Reason.ShouldBe("the supervisor failed: no memory");
        agents[1].State.ShouldBe(ProcessState.Skipped);
    }

    [Fact]
    public async Task Names_Unknown_NothingIsDone()
    {
        await using var host = Host(Project(Agent("researcher"), Agent("writer")));
        (await Should.ThrowAsync<UnknownAgentException>(() => host.StartAsync(["writer", "writter"], true, default))).Nearest.ShouldBe("writer");
        await Should.ThrowAsync<UnknownAgentException>(() => host.StopAsync(["x"], true, default));
        await Should.ThrowAsync<UnknownAgentException>(() => host.WaitAsync(["x"], _ => true, default));
        _supervisor.Calls.ShouldBeEmpty();
    }

    [Fact]
    public async Task Main_Ends_ExitIsPublished()
    {
        await using var host = Host(Project(Agent("helper"), Agent("main") with { IsMain = true }));
        host.MainEnded.IsCompleted.ShouldBeFalse();
        await host.StartAsync(null, true, default);
        _supervisor.Tell("helper", ProcessState.Completed, new ExitInfo(0, null, default));
        _supervisor.Tell("main", ProcessState.Failed, new ExitInfo(null, 9, default), "killed by signal 9");
        var end = await host.MainEnded.WaitAsync(s_deadline);
        end.ExitCode.ShouldBe(137);
        end.Reason.ShouldBe("killed by signal 9");
    }

    [Fact]
    public async Task Main_Refused_RunEndsWithTheReason()
    {
        _supervisor.AddFault = new ArgumentException("no line can make it ready");
        await using var host = Host(Project(Agent("main") with { IsMain = true }));
        await host.StartAsync(null, true, default).WaitAsync(s_deadline);
        var end = await host.MainEnded.WaitAsync(s_deadline);
        (end.ExitCode, end.State, end.Reason).ShouldBe((1, ProcessState.Failed, "no line can make it ready"));
    }

    [Fact]
    public async Task Apply_AddedRemovedChangedUnchanged_EachGetsItsDue()
    {
        var present = Project(Agent("keep"), Agent("gone"), Agent("old"), Agent("stopped"), Agent("rewired", "keep"));
        await using var host = Host(present);
        await host.StartAsync(null, true, default);
        foreach (var agent in host.Agents)
        {
            if (agent.Name != "rewired")
            {
                _supervisor.Tell(agent.Name, ProcessState.Ready);
            }
        }

        await ReachAsync(host, "rewired", ProcessState.Running);
        await host.StopAsync(["stopped"], true, default);
        var calls = _supervisor.Calls.Length;
        var next = Project(
            Agent("new", "old"),
            Agent("keep"),
            Agent("old").With(p => p with { Command = ["old", "--faster"] }),
            Agent("stopped").With(p => p with { Command = ["other"] }),
            Agent("rewired"));
        host.Drift(next).Where(c => c.Kind != AgentChangeKind.Unchanged).Select(c => $"{c.Agent} {c.Kind}")
            .ShouldBe(["gone Removed", "new Added", "old Changed", "rewired Rewired", "stopped Changed"]);
        host.Generation.ShouldBe(1);

        var result = await host.ApplyAsync(next, default).WaitAsync(s_deadline);
        result.Generation.ShouldBe(2);
        result.ToString().ShouldBe("1 added (new), 1 removed (gone), 2 changed (old, stopped), 1 rewired (rewired)");
        _supervisor.Calls.Skip(calls).Where(c => c.EndsWith("keep") || c.EndsWith("rewired")).ShouldBeEmpty();
        _supervisor.Calls.Skip(calls).Where(c => c.EndsWith(" gone")).ShouldBe(["stop gone", "remove gone"]);
        _supervisor.Calls.Skip(calls).Where(c => c.EndsWith(" old")).ShouldBe(["stop old", "remove old", "add old", "start old"]);
        _supervisor.Calls.Skip(calls).Where(c => c.EndsWith(" stopped")).ShouldBe(["remove stopped", "add stopped"]);
        host.Agents.Select(a => $"{a.Name} {a.State}").ShouldBe(["new Pending", "keep Ready", "old Running", "stopped Stopped", "rewired Running"]);
        host.Drift(next).ShouldAllBe(c => c.Kind == AgentChangeKind.Unchanged);
        (await host.ApplyAsync(next, default)).Generation.ShouldBe(2); // nothing differs: no new generation
        _supervisor.Tell("old", ProcessState.Ready);
        await ReachAsync(host, "new", ProcessState.Running);
    }

    [Fact]
    public async Task Apply_EdgesTurnedRound_DoesNotWaitInACircle()
    {
        await using var host = Host(Project(Agent("a", "b"), Agent("b")));
        await host.StartAsync(null, true, default);
        _supervisor.Tell("b", ProcessState.Ready);
        await ReachAsync(host, "a", ProcessState.Running);
        var next = Project(Agent("a").With(p => p with { Command = ["a2"] }), Agent("b", "a").With(p => p with { Command = ["b2"] }));
        await host.ApplyAsync(next, default).WaitAsync(s_deadline);
        await ReachAsync(host, "a", ProcessState.Running);
        _supervisor.Tell("a", ProcessState.Ready);
        await ReachAsync(host, "b", ProcessState.Running);
    }

    [Fact]
    public async Task Wait_CallerLeaves_IsForgottenAndOthersGoOn()
    {
        await using var host = Host(Project(Agent("a")));
        await host.StartAsync(null, true, default);
        using var leaving = new CancellationTokenSource();
        var left = host.WaitAsync(["a"], all => all.All(a => a.State == ProcessState.Ready), leaving.Token);
        await leaving.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(() => left);
        _supervisor.Tell("a", ProcessState.Ready);
        await ReachAsync(host, "a", ProcessState.Ready);
    }

    [Fact]
    public async Task Loop_Fault_IsShownAndNobodyHangs()
    {
        await using var host = Host(Project(Agent("a")));
        await host.StartAsync(null, true, default);
        var waiting = host.WaitAsync(["a"], _ => false, default);
        host.Changed += () => throw new IOException("a listener that breaks the loop");
        _supervisor.Tell("a", ProcessState.Ready);
        (await Should.ThrowAsync<InvalidOperationException>(() => waiting.WaitAsync(s_deadline))).Message.ShouldContain("a listener that breaks the loop");
        await Should.ThrowAsync<IOException>(() => host.Completion.WaitAsync(s_deadline));
        host.Faults.ShouldHaveSingleItem().ShouldBeOfType<IOException>();
        await Should.ThrowAsync<InvalidOperationException>(() => host.StartAsync(null, true, default));
        await host.StopAllAsync(default).WaitAsync(s_deadline); // the supervisor's own stop is left to do it
    }

    private AgentHost Host(ProjectPlan plan) => new(plan, _supervisor, NullLogger.Instance);

    private static async Task ReachAsync(AgentHost host, string name, ProcessState state) =>
        await host.WaitAsync([name], all => all.All(a => a.State == state), default).WaitAsync(s_deadline);
}
