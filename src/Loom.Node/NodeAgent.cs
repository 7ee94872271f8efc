using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Loom.Core.Gpus;
using Loom.Node.Engines;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Node.Threads;
using Loom.Processes;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node;

/// <summary>
/// Runs all pools of one machine and says how they are. Lifecycle: construct, <see cref="Start"/> once, <see cref="StopAsync"/> or dispose; it is not
/// started again.
/// </summary>
public sealed partial class NodeAgent : IAsyncDisposable
{
    private readonly NodeOptions _options;
    private readonly EngineClient _client;
    private readonly ImmutableDictionary<ReplicaId, EngineLoop> _loops;
    private readonly Lock _watching = new();
    private readonly List<Channel<ImmutableArray<ReplicaStatus>>> _watchers = [];
    private readonly IGpuView _gpus;
    private readonly IDisposable _gpuNews;
    private ImmutableArray<ReplicaStatus> _replicas; // as their owners tell them
    private ImmutableArray<ReplicaStatus> _snapshot; // as the world is told

    /// <summary>Makes the replicas, all stopped.</summary>
    /// <param name="options">What to run.</param>
    /// <param name="supervisor">Runs the processes; not disposed here.</param>
    /// <param name="provisioner">Fetches engines and models.</param>
    /// <param name="machine">Facts that shape command lines.</param>
    /// <param name="cpu">Cores to split.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Makes the loggers.</param>
    public NodeAgent(NodeOptions options, ISupervisor supervisor, IProvisioner provisioner, LaunchMachine machine, CpuFacts cpu, TimeProvider time,
        ILoggerFactory loggers)
    {
        options = NodeGpus.Pin(options, machine.Gpus.Current);
        _options = options;
        _client = new EngineClient(time);
        var logger = loggers.CreateLogger("pool-managerd");
        var threads = ThreadPlan.For(options.Pools, cpu);
        if (threads.Warning(options.Pools) is { } warning)
        {
            LogWarning(logger, warning);
        }

        var host = new EngineHost(supervisor, provisioner, new PortRange(options.EnginePorts.First, options.EnginePorts.Last), _client, threads, machine);
        var replicas = options.Pools.SelectMany(p => Enumerable.Range(0, p.Replicas), (pool, i) => (Pool: pool, Name: $"r{i}")).ToList();
        _replicas = [.. replicas.Select(r => First(new ReplicaId(options.NodeId, r.Pool.Id, r.Name), r.Pool))];
        _snapshot = _replicas;
        _gpus = machine.Gpus;
        _loops = replicas.Where(r => r.Pool.Engine.Kind != EngineKinds.OpenAI).ToImmutableDictionary(
            r => new ReplicaId(options.NodeId, r.Pool.Id, r.Name),
            r => Loop(r.Pool, r.Name, host, time, logger));
        _gpuNews = _gpus.Subscribe(_ => Tell());
    }

    /// <summary>How all replicas are, in the order of the file. Immutable; swapped whole on each change.</summary>
    public ImmutableArray<ReplicaStatus> Snapshot
    {
        get
        {
            lock (_watching)
            {
                return _snapshot;
            }
        }
    }

    /// <summary>Errors that ended the owner of a replica; empty while all is well. For health.</summary>
    public IEnumerable<Exception> Faults => _loops.Values.Select(l => l.Fault).OfType<Exception>();

    /// <summary>Begins to provision and start every pool; returns at once.</summary>
    public void Start()
    {
        foreach (var loop in _loops.Values)
        {
            loop.Start();
        }
    }

    /// <summary>Starts one replica that is stopped or failed.</summary>
    /// <returns>False when this node has no such replica with a process.</returns>
    public bool StartReplica(ReplicaId replica)
    {
        if (!_loops.TryGetValue(replica, out var loop))
        {
            return false;
        }

        loop.Start();
        return true;
    }

    /// <summary>Tells that a request to a replica met a transport fault or a 5xx; it is probed at once. Never blocks; unknown replicas are ignored.</summary>
    public void ReportFault(ReplicaId replica, string reason)
    {
        if (_loops.TryGetValue(replica, out var loop))
        {
            loop.ReportFault(reason);
        }
    }

    /// <summary>Does something with this node's part of a pool; see <see cref="PoolCommand"/>.</summary>
    /// <param name="command">What to do.</param>
    /// <param name="progress">Called with each change.</param>
    /// <param name="cancellationToken">Ends the wait, not the work.</param>
    /// <returns>The ended operation.</returns>
    public Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken) =>
        Task.FromResult(new OperationStatus { Id = Guid.CreateVersion7().ToString(), Kind = command.Word, PoolId = command.PoolId, Status = OperationState.Failed, Error = "not built yet" });

    /// <summary>Key and headers for a replica of kind <c>openai</c>; none for all others. In memory only: they are part of no snapshot.</summary>
    public UpstreamCredentials CredentialsOf(ReplicaId replica) =>
        _options.Pools.FirstOrDefault(p => p.Id == replica.PoolId)?.Engine.Provider is { } name && _options.Providers.TryGetValue(name, out var provider)
            ? provider.Credentials
            : UpstreamCredentials.None;

    /// <summary>The present snapshot, then each newer one; a slow reader misses those between, never the last.</summary>
    public async IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var channel = Channel.CreateBounded<ImmutableArray<ReplicaStatus>>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropOldest });
        lock (_watching)
        {
            channel.Writer.TryWrite(_snapshot);
            _watchers.Add(channel);
        }

        try
        {
            await foreach (var snapshot in channel.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                yield return snapshot;
            }
        }
        finally
        {
            lock (_watching)
            {
                _watchers.Remove(channel);
            }
        }
    }

    /// <summary>Stops every engine, all at once; returns when no process of them is left.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => Task.WhenAll(_loops.Values.Select(l => l.StopAsync(cancellationToken)));

    /// <summary>Stops what still runs and ends the owners.</summary>
    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_loops.Values.Select(l => l.DisposeAsync().AsTask())).ConfigureAwait(false);
        _gpuNews.Dispose();
        _client.Dispose();
        lock (_watching)
        {
            foreach (var watcher in _watchers)
            {
                watcher.Writer.TryComplete();
            }
        }
    }

    private ReplicaStatus First(ReplicaId id, PoolPlan pool) => pool.Engine.Kind == EngineKinds.OpenAI
        ? ReplicaView.Of(id, pool, _options.Providers[pool.Engine.Provider!])
        : ReplicaView.Of(id, pool, new EngineState.Stopped(null));

    private EngineLoop Loop(PoolPlan pool, string replica, EngineHost host, TimeProvider time, ILogger logger)
    {
        var id = new ReplicaId(_options.NodeId, pool.Id, replica);
        var effects = new EngineEffects(_options, pool, replica, host, logger);
        return new EngineLoop($"{pool.Id}/{replica}", new EngineMachine(effects.Policy), effects, state => Publish(ReplicaView.Of(id, pool, state)), time,
            logger);
    }

    private void Publish(ReplicaStatus status)
    {
        lock (_watching)
        {
            var at = _replicas.IndexOf(_replicas.First(r => r.Id == status.Id));
            _replicas = _replicas.SetItem(at, status);
            Tell();
        }
    }

    // After a change of a replica or of the GPUs.
    private void Tell()
    {
        lock (_watching)
        {
            var gpus = _gpus.Current;
            ImmutableArray<ReplicaStatus> next = [.. _replicas.Select(r => GpuView.Apply(r, gpus))];
            if (next.SequenceEqual(_snapshot))
            {
                return;
            }

            _snapshot = next;
            foreach (var watcher in _watchers)
            {
                watcher.Writer.TryWrite(_snapshot);
            }
        }
    }

    [LoggerMessage(EventId = 320, Level = LogLevel.Warning, Message = "{Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);
}
