using System.Collections.Concurrent;
using Loom.Node.Engines;
using Loom.Node.Provisioning;
using Loom.Processes;

namespace Loom.Fast.Tests.Node;

/// <summary>Records what a replica does; the test plays the supervisor.</summary>
internal sealed class FakeEngineEffects : IEngineEffects
{
    private Action<ProcessSnapshot> _news = _ => { };
    private int _next = 28080;

    public ConcurrentQueue<string> Calls { get; } = new();

    public Func<Task<PreparedEngine>> Prepare { get; set; } = () => Task.FromResult(Fixtures.Prepared);

    public Func<int, bool> Taken { get; set; } = _ => false;

    public Queue<string?> Probes { get; } = new();

    public EngineFacts Facts { get; set; } = EngineFacts.None;

    public void Tell(ProcessState state, int spawns = 1, string? reason = null, TimeSpan? backoff = null) =>
        _news(Fixtures.Process(state, spawns, reason, backoff));

    public Task<PreparedEngine> PrepareAsync(IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        Calls.Enqueue("prepare");
        return Prepare().WaitAsync(cancellationToken);
    }

    public int TakePort()
    {
        Calls.Enqueue($"port {_next}");
        return _next++;
    }

    public void ReleasePort() => Calls.Enqueue("release");

    public bool IsPortTaken(int port) => Taken(port);

    public Task AddProcessAsync(EngineRun run, CancellationToken cancellationToken)
    {
        Calls.Enqueue($"add {run.Port}");
        Tell(ProcessState.Starting);
        return Task.CompletedTask;
    }

    public Task RemoveProcessAsync(CancellationToken cancellationToken)
    {
        Calls.Enqueue("remove");
        return Task.CompletedTask;
    }

    public IDisposable Subscribe(Action<ProcessSnapshot> onChange)
    {
        _news = onChange;
        return new Nothing();
    }

    public Task<EngineFacts> AskFactsAsync(EngineRun run, CancellationToken cancellationToken) => Task.FromResult(Facts);

    public Task<int?> AskLoadPercentAsync(EngineRun run, CancellationToken cancellationToken) => Task.FromResult<int?>(42);

    public Task<string?> ProbeAsync(EngineRun run, CancellationToken cancellationToken)
    {
        Calls.Enqueue("probe");
        return Task.FromResult(Probes.Dequeue());
    }

    public string? LastWords() => "killed by a cosmic ray";

    private sealed class Nothing : IDisposable
    {
        public void Dispose()
        {
        }
    }
}
