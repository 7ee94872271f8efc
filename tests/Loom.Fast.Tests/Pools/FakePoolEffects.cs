using System.Collections.Concurrent;
using System.Collections.Immutable;
using Loom.Fast.Tests.Node;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;
using Loom.Processes;
using Loom.Wire;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Fast.Tests.Pools;

/// <summary>A pool's world without processes: engines come up at once, or as the test says for their model.</summary>
internal sealed class FakePoolEffects : IPoolEffects
{
    private int _port = 28080;

    /// <summary>What happened, in order: <c>prepare b</c>, <c>spawn b</c>, <c>gone a</c>, <c>quiet 28080</c>, <c>cut 28080</c> ...</summary>
    public ConcurrentQueue<string> Calls { get; } = new();

    /// <summary>What becomes of an engine of that model when it is started; default: it answers.</summary>
    public Func<string, bool> Comes { get; set; } = _ => true;

    /// <summary>What provisioning says of a model; null = it is there.</summary>
    public Func<string, ProvisionException?> Provision { get; set; } = _ => null;

    /// <summary>Whether a port has no requests.</summary>
    public Func<int, bool> Quiet { get; set; } = _ => true;

    /// <summary>What was remembered of which model.</summary>
    public ConcurrentQueue<(string Model, long? DeviceBytes)> Measured { get; } = new();

    /// <summary>Whether cores suffice for two engines of a replica.</summary>
    public bool Cores { get; set; } = true;

    public Func<string, string?> Warm { get; set; } = _ => null;

    public TimeSpan? Idle { get; set; }

    public Queue<long> FreeDeviceBytes { get; } = new();

    /// <summary>The engines that were made.</summary>
    public ConcurrentQueue<EngineOrder> Orders { get; } = new();

    public EngineLoop Engine(EngineOrder order, Action<EngineState> publish)
    {
        Orders.Enqueue(order);
        return new($"{order.Plan.Id}/{order.Replica}{(order.Second ? "-b" : "")}",
        new EngineMachine(new EngineRestartPolicy()), new One(this, order.Plan.ModelIds[0]), publish, TimeProvider.System, NullLogger.Instance);
    }

    public Task<PreparedEngine> PrepareAsync(PoolPlan plan, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken)
    {
        var model = plan.ModelIds[0];
        Calls.Enqueue($"prepare {model}");
        return Provision(model) is { } trouble ? throw trouble : Task.FromResult(Prepared(model));
    }

    public bool CoresSuffice(PoolPlan old, EngineRun? run, PoolPlan next, PreparedEngine prepared) => Cores;

    public Task<string?> WarmAsync(PoolPlan plan, EngineRun run, CancellationToken cancellationToken)
    {
        Calls.Enqueue($"warm {plan.ModelIds[0]}");
        return Task.FromResult(Warm(plan.ModelIds[0]));
    }

    public bool IsPortTaken(int port) => false;

    public Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
    {
        var port = new Uri(url).Port;
        Calls.Enqueue($"quiet {port}");
        return Task.FromResult(Quiet(port));
    }

    public void Cut(ReplicaId replica, string url) => Calls.Enqueue($"cut {new Uri(url).Port}");

    public Task<TimeSpan?> IdleForAsync(ReplicaId replica, string url, CancellationToken cancellationToken) => Task.FromResult(Idle);

    public Task<long?> FreeDeviceBytesAsync(PoolPlan plan, CancellationToken cancellationToken) =>
        Task.FromResult<long?>(FreeDeviceBytes.TryDequeue(out var bytes) ? bytes : null);

    public void Measure(EngineOrder order, EngineRun run, long? deviceBytes) => Measured.Enqueue((run.Prepared.Model!.Id, deviceBytes));

    public ImmutableArray<PurgeTarget> PurgeTargets(PoolState pool, PoolCommand.Purge command) => [.. command.PurgeModels.Select(m => new PurgeTarget(m, "/models/" + m, m))];

    public Task DeleteAsync(PurgeTarget target, CancellationToken cancellationToken)
    {
        Calls.Enqueue($"delete {target.Name}");
        return Task.CompletedTask;
    }

    private static PreparedEngine Prepared(string model) => new() { Program = "/usr/bin/engine", Model = new PreparedModel(model, $"/models/{model}.gguf", 1000) };

    private sealed class One(FakePoolEffects pool, string model) : IEngineEffects
    {
        private Action<ProcessSnapshot> _news = _ => { };
        private bool _there;

        public Task<PreparedEngine> PrepareAsync(IProgress<ProvisionProgress> progress, CancellationToken cancellationToken) =>
            Task.FromResult(Prepared(model));

        public int TakePort() => Interlocked.Increment(ref pool._port) - 1;

        public void ReleasePort()
        {
        }

        public bool IsPortTaken(int port) => false;

        public Task AddProcessAsync(EngineRun run, CancellationToken cancellationToken)
        {
            pool.Calls.Enqueue($"spawn {model}");
            _there = true;
            _news(Fixtures.Process(ProcessState.Starting, 1));
            _news(pool.Comes(model) ? Fixtures.Process(ProcessState.Ready, 1) : Fixtures.Process(ProcessState.Backoff, 1, "exit code 3", TimeSpan.FromSeconds(1)));
            return Task.CompletedTask;
        }

        public Task RemoveProcessAsync(CancellationToken cancellationToken)
        {
            if (_there)
            {
                pool.Calls.Enqueue($"gone {model}");
                _there = false;
            }

            return Task.CompletedTask;
        }

        public IDisposable Subscribe(Action<ProcessSnapshot> onChange)
        {
            _news = onChange;
            return new Nothing();
        }

        public Task<EngineFacts> AskFactsAsync(EngineRun run, CancellationToken cancellationToken) => Task.FromResult(EngineFacts.None);

        public Task<int?> AskLoadPercentAsync(EngineRun run, CancellationToken cancellationToken) => Task.FromResult<int?>(null);

        public Task<string?> ProbeAsync(EngineRun run, CancellationToken cancellationToken) => Task.FromResult<string?>(null);

        public string? LastWords() => "cannot load it";
    }

    private sealed class Nothing : IDisposable
    {
        public void Dispose()
        {
        }
    }
}
