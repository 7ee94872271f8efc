using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Processes;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Node;

public sealed class NodeAgentTests : IAsyncLifetime
{
    private readonly NodeWorld _world = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact(Timeout = 240_000)]
    public async Task Start_CommandEngine_BecomesReadyAndStopsWithoutATrace()
    {
        _world.Start(NodeWorld.WebPool());
        await _world.Until(ReplicaState.Ready);
        _world.Replica.Url.ShouldBe($"http://127.0.0.1:{_world.Options.EnginePorts.First}/v1");
        _world.Replica.Models.ShouldBe(["some-model"]);
        var pid = _world.Supervisor.Processes.ShouldHaveSingleItem().Pid!.Value;
        await _world.Agent.StopAsync(CancellationToken.None);
        _world.Replica.State.ShouldBe(ReplicaState.Stopped);
        Directory.Exists($"/proc/{pid}").ShouldBeFalse();
        File.Exists(Path.Combine(_world.Options.LogsDir, "engine-web-r0.log")).ShouldBeTrue();
    }

    [Fact(Timeout = 240_000)]
    public async Task Kill_RunningEngine_IsRestartedOnTheSamePort()
    {
        _world.Start(NodeWorld.WebPool());
        await _world.Until(ReplicaState.Ready);
        var before = _world.Supervisor.Processes[0].Pid!.Value;
        await KillAsync(before);
        // It may be back before anybody has looked.
        await _world.Until(r => r.State == ReplicaState.Ready && _world.Supervisor.Processes[0].Pid is { } pid && pid != before, "ready again");
        _world.Replica.LastError.ShouldBeNull();
    }

    [Fact(Timeout = 240_000)]
    public async Task Fault_EngineStoppedAnswering_UnreadyByTheExtraProbeAndBackAgain()
    {
        _world.Start(NodeWorld.WebPool());
        await _world.Until(ReplicaState.Ready);
        var pid = _world.Supervisor.Processes[0].Pid!.Value;
        await SignalAsync("STOP", pid);
        _world.Agent.ReportFault(_world.Replica.Id, "connection reset");
        await _world.Until(r => r.State == ReplicaState.Unready, "unready");
        _world.Replica.LastError!.ShouldContain("no answer");
        await SignalAsync("CONT", pid);
        await _world.Until(ReplicaState.Ready);
        _world.Supervisor.Processes[0].Pid.ShouldBe(pid);
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_FirstPortTaken_UsesTheNext()
    {
        using var other = new TcpListener(IPAddress.Loopback, _world.Options.EnginePorts.First);
        other.Start();
        _world.Start(NodeWorld.WebPool());
        await _world.Until(ReplicaState.Ready);
        _world.Replica.Url.ShouldBe($"http://127.0.0.1:{_world.Options.EnginePorts.First + 1}/v1");
    }

    [Fact(Timeout = 240_000)]
    public async Task Crash_PortTakenMeanwhile_MovesToTheNext()
    {
        _world.Options = _world.Options with { Restart = new EngineRestartPolicy { BackoffFirst = TimeSpan.FromSeconds(5) } };
        _world.Start(NodeWorld.WebPool());
        await _world.Until(ReplicaState.Ready);
        var port = _world.Options.EnginePorts.First;
        await KillAsync(_world.Supervisor.Processes[0].Pid!.Value);
        await _world.Until(r => r.State == ReplicaState.Unready, "unready");
        using var other = new TcpListener(IPAddress.Loopback, port);
        other.Start();
        await _world.Until(r => r.State == ReplicaState.Ready && r.Url!.Contains($":{port + 1}/"), "ready on the next port");
    }

    [Fact(Timeout = 240_000)]
    public async Task Crash_FiveTimes_OpensTheBreakerAndSaysWhatTheEngineSaid()
    {
        _world.Start(NodeWorld.WebPool("sh", "-c", "echo cannot read the tensor >&2; exit 3"));
        await _world.Until(ReplicaState.Failed);
        _world.Replica.LastError!.ShouldContain("exit 3");
        _world.Replica.LastError!.ShouldContain("cannot read the tensor");
        _world.Replica.LastError!.ShouldContain("next trial at");
        _world.Supervisor.Processes[0].Spawns.ShouldBe(5);
        _world.Supervisor.Processes[0].State.ShouldBe(ProcessState.Backoff);
    }

    [Fact(Timeout = 240_000)]
    public async Task Exit_ZeroUnasked_IsDeliberateAndNotRestarted()
    {
        _world.Start(NodeWorld.WebPool("sh", "-c", "exit 0"));
        await _world.Until(r => r.State == ReplicaState.Stopped && r.LastError is not null, "stopped with a reason");
        _world.Replica.LastError!.ShouldContain("never restarted");
        _world.Supervisor.Processes[0].Spawns.ShouldBe(1);
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_NodeMissing_FailsWithTheDocumentedText()
    {
        _world.Options = _world.Options with { Environment = _world.Options.Environment.SetItem("PATH", _world.Folder) };
        _world.Start(new PoolPlan { Id = "default", Engine = EnginePlan.Embedded });
        await _world.Until(ReplicaState.Failed);
        _world.Replica.LastError.ShouldBe(
            "engine \"embedded\" needs Node 20 or newer (found: none); install it, or set serving.pools.default.engine to a llama-server or an [llm.*] provider");
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_NodeTooOld_NamesTheVersionFound()
    {
        var old = Path.Combine(_world.Folder, "node");
        await File.WriteAllTextAsync(old, "#!/bin/sh\necho v18.19.0\n");
        File.SetUnixFileMode(old, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        _world.Options = _world.Options with { Environment = _world.Options.Environment.SetItem("PATH", _world.Folder) };
        _world.Start(new PoolPlan { Id = "default", Engine = EnginePlan.Embedded });
        await _world.Until(ReplicaState.Failed);
        _world.Replica.LastError!.ShouldContain("(found: v18.19.0)");
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_MockEngine_RunsLoomItselfAndIsMarked()
    {
        _world.Start(new PoolPlan { Id = "chat", Engine = new EnginePlan { Name = "mock", Kind = EngineKinds.Mock }, Models = ["pretend"] });
        await _world.Until(ReplicaState.Ready);
        _world.Replica.Mock.ShouldBeTrue();
        using var http = new HttpClient();
        (await http.GetStringAsync(_world.Replica.Url + "/models")).ShouldContain("pretend");
    }

    [Fact(Timeout = 240_000)]
    public void Start_Provider_ReadyAtOnceWithCredentialsApart()
    {
        var provider = new ProviderPlan("far", new Uri("https://api.example.com/v1")) { Model = "big", Credentials = new UpstreamCredentials("sk-secret", []) };
        _world.Options = _world.Options with { Providers = _world.Options.Providers.Add("far", provider) };
        _world.Start(new PoolPlan { Id = "llm-far", Slots = 16, Models = ["far"],
            Engine = new EnginePlan { Name = "llm-far", Kind = EngineKinds.OpenAI, Provider = "far" } });
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
        _world.Replica.Url.ShouldBe("https://api.example.com/v1");
        _world.Replica.UpstreamModel.ShouldBe("big");
        _world.Agent.CredentialsOf(_world.Replica.Id).ApiKey.ShouldBe("sk-secret");
        _world.Replica.ToString().ShouldNotContain("sk-secret");
        provider.ToString().ShouldNotContain("sk-secret");
    }

    private static Task KillAsync(int pid) => SignalAsync("KILL", pid);

    internal static async Task SignalAsync(string signal, int pid)
    {
        using var kill = System.Diagnostics.Process.Start("kill", ["-s", signal, pid.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }
}
