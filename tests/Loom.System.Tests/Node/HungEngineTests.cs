using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Node;

/// <summary>Apart from the others, since three failed probes take their time.</summary>
public sealed class HungEngineTests : IAsyncLifetime
{
    private readonly NodeWorld _world = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _world.DisposeAsync();

    [Fact(Timeout = 300_000)]
    public async Task Hang_ThreeProbesFail_TheEngineIsReplaced()
    {
        _world.Start(NodeWorld.WebPool());
        await _world.Until(ReplicaState.Ready);
        var hung = _world.Supervisor.Processes[0].Pid!.Value;
        await NodeAgentTests.SignalAsync("STOP", hung);
        await _world.Until(r => r.State == ReplicaState.Ready && _world.Supervisor.Processes[0].Pid is { } pid && pid != hung, "ready again with another process");
        Directory.Exists($"/proc/{hung}").ShouldBeFalse();
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_AfterADeliberateExit_RunsAgain()
    {
        var flag = Path.Combine(_world.Folder, "second");
        _world.Start(NodeWorld.WebPool("sh", "-c", $"[ -e {flag} ] || {{ touch {flag}; exit 0; }}; exec python3 -m http.server {{port}} --bind 127.0.0.1"));
        await _world.Until(r => r.State == ReplicaState.Stopped && r.LastError is not null, "stopped by itself");
        _world.Agent.StartReplica(_world.Replica.Id).ShouldBeTrue();
        await _world.Until(ReplicaState.Ready);
        _world.Replica.LastError.ShouldBeNull();
    }
}
