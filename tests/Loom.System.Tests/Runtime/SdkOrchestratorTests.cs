using System.Collections.Concurrent;
using Loom.Runtime;
using Loom.SystemTests.Binaries;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The orchestrator of the C# API, with the real program behind it.</summary>
public sealed class SdkOrchestratorTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 300_000)]
    public async Task Orchestrator_StartLookStop_AgentsRunAndAreGone()
    {
        var messages = new Messages();
        SdkProject.Agent(_folder.Path, "writer");
        await using var orchestrator = new Orchestrator(new OrchestratorConfig { ProjectDir = _folder.Path, LogsDir = _folder["logs"], Progress = messages });
        orchestrator.Processes.ShouldBeEmpty();
        await orchestrator.StartAsync();
        await Deadline.Until(() => orchestrator.Processes is [{ State: "ready" }], "the agent is ready", s_limit);
        var writer = orchestrator.Processes[0];
        writer.ShouldSatisfyAllConditions(
            w => w.Name.ShouldBe("writer"), w => w.Kind.ShouldBe("agent"), w => w.State.ShouldBe("ready"), w => w.Restarts.ShouldBe(0), w => w.LastExit.ShouldBeNull());
        orchestrator.RunId.ShouldNotBeEmpty();
        SdkProject.IsAlive(writer.Pid!.Value).ShouldBeTrue();
        File.Exists(_folder["logs/writer.log"]).ShouldBeTrue();

        await orchestrator.StopAsync();
        (await orchestrator.WaitAsync()).ShouldBe(0);
        SdkProject.IsAlive(writer.Pid!.Value).ShouldBeFalse();
        await orchestrator.StopAsync(); // once more: nothing happens
    }

    [Fact(Timeout = 300_000)]
    public async Task Orchestrator_AgentDies_ProcessesShowTheRestart()
    {
        SdkProject.Agent(_folder.Path, "writer");
        await using var orchestrator = new Orchestrator(new OrchestratorConfig { ProjectDir = _folder.Path });
        await orchestrator.StartAsync();
        Signals.Send(orchestrator.Processes[0].Pid!.Value, 9);
        await Deadline.Until(() => orchestrator.Processes[0] is { Restarts: 1, LastExit.Signal: 9 }, "the restart is seen", s_limit);
    }

    [Fact(Timeout = 300_000)]
    public async Task Orchestrator_AgentScripts_ReplaceWhatIsFound()
    {
        SdkProject.Agent(_folder.Path, "found");
        var script = SdkProject.Script(_folder["elsewhere"], "given");
        await using var orchestrator = new Orchestrator(new OrchestratorConfig { ProjectDir = _folder.Path, AgentScripts = [script] });
        await orchestrator.StartAsync();
        orchestrator.Processes.Select(p => p.Name).ShouldBe(["given"]);
    }

    [Fact(Timeout = 300_000)]
    public async Task Orchestrator_WrongConfiguration_AllFaultsInOneException()
    {
        await File.WriteAllTextAsync(_folder["loom.toml"], "nonsense = 1\n[agents.a]\nrestart = \"on-fail\"\ncommand = [\"true\"]\n");
        await using var orchestrator = new Orchestrator(new OrchestratorConfig { ProjectDir = _folder.Path });
        var error = await Should.ThrowAsync<ConfigException>(orchestrator.StartAsync());
        error.ExitCode.ShouldBe(2);
        error.Errors.Count.ShouldBe(2);
        error.Errors.ShouldContain(e => e.Line == 3 && e.Column > 0 && e.File!.EndsWith("loom.toml") && e.Key!.StartsWith("agents.a.restart"));
        Directory.Exists(_folder[".loom/run"]).ShouldBeFalse();
    }

    [Fact(Timeout = 300_000)]
    public async Task Orchestrator_ProjectRunsAlready_SaysBy()
    {
        SdkProject.Agent(_folder.Path, "writer");
        await using var first = new Orchestrator(new OrchestratorConfig { ProjectDir = _folder.Path });
        await first.StartAsync();
        await using var second = new Orchestrator(new OrchestratorConfig { ProjectDir = _folder.Path });
        (await Should.ThrowAsync<LoomException>(second.StartAsync())).Code.ShouldBe("ALREADY_RUNNING");
        await Deadline.Until(() => first.Processes is [{ State: "ready" }], "the first goes on", s_limit);
    }

    [Fact(Timeout = 300_000)]
    public async Task Orchestrator_StartTakesLong_ToldAndCanBeGivenUp()
    {
        await using var release = await ReleaseServer.StartAsync();
        release.Publish("1.0", ReleaseServer.Script("1.0"));
        release.Server.HoldAfter = (path, _) => path.EndsWith(ReleaseServer.Artifact("1.0"), StringComparison.Ordinal) ? 5 : null; // silent from here on
        await File.WriteAllTextAsync(_folder["loom.toml"], "[binaries.tool]\nversion = \"1.0\"\n");
        var messages = new Messages();
        using var stop = new CancellationTokenSource();
        var launch = new LoomLaunch { Environment = release.Environment.Where(v => v.Name != "LOOM_PROJECT").ToDictionary(v => v.Name, v => (string?)v.Value) };
        await using var orchestrator = new Orchestrator(new OrchestratorConfig { ProjectDir = _folder.Path, StartupWaitSec = 0.2, Progress = messages, Launch = launch });
        var starting = orchestrator.StartAsync(stop.Token);
        await Deadline.Until(() => messages.Any(m => m.StartsWith("still starting")) && release.Server.Asked.Any(a => a.EndsWith(ReleaseServer.Artifact("1.0"))), "the notice comes", s_limit);
        await stop.CancelAsync();
        await Should.ThrowAsync<OperationCanceledException>(starting);
        await orchestrator.WaitAsync().WaitAsync(s_limit);
        File.Exists(_folder[".loom/run/state.json"]).ShouldBeFalse();
    }

    [Fact(Timeout = 300_000)]
    public async Task RunOrchestrator_OwnToken_StopsInOrderAndReturnsTheCode()
    {
        SdkProject.Agent(_folder.Path, "writer");
        using var stop = new CancellationTokenSource();
        var running = LoomRuntime.RunOrchestratorAsync(new OrchestratorConfig { ProjectDir = _folder.Path }, stop.Token);
        await Deadline.Until(() => SdkProject.Survivors(_folder.Path).Count > 0 && File.Exists(_folder[".loom/logs/writer.log"]), "it runs", s_limit);
        await stop.CancelAsync();
        (await running).ShouldBeOneOf(0, 143); // 143: the stop came before everything was up
        SdkProject.Survivors(_folder.Path).ShouldBeEmpty();
    }

    [Fact]
    public void Orchestrator_NoLoom_SaysWhereItLooked()
    {
        var nowhere = new LoomLaunch { Executable = "/nowhere/loom" };
        Should.Throw<LoomException>(() => ProjectConfig.Load(_folder.Path, nowhere)).Message.ShouldContain("'/nowhere/loom', which does not exist");
        var variable = new LoomLaunch { Environment = new Dictionary<string, string?> { ["LOOM_EXECUTABLE"] = _folder["loom"] } };
        Should.Throw<LoomException>(() => ProjectConfig.Load(_folder.Path, variable)).Message.ShouldContain("LOOM_EXECUTABLE is");
    }

    private sealed class Messages : ConcurrentQueue<string>, IProgress<string>
    {
        public void Report(string value) => Enqueue(value);
    }
}
