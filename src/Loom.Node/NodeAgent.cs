using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Core.Loops;
using Loom.Node.Engines;
using Loom.Node.Handoff;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Node.Pools;
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
    private const string HandoffSource = "handoff";
    private readonly NodeOptions _options;
    private readonly EngineClient _client;
    private readonly ILogger _logger;
    private readonly PoolEffects _effects;
    private readonly ImmutableDictionary<string, PoolOwner> _pools;
    private readonly ImmutableDictionary<string, ProviderPool> _providers;
    private readonly List<BackgroundLoop> _watches = [];
    private readonly IGpuView _gpus;
    private readonly ReplicaBoard _board;
    private readonly ModelStore? _models;

    /// <summary>Makes the replicas, all stopped.</summary>
    /// <param name="options">What to run.</param>
    /// <param name="supervisor">Runs the processes; not disposed here.</param>
    /// <param name="provisioner">Fetches engines and models.</param>
    /// <param name="machine">Facts that shape command lines.</param>
    /// <param name="cpu">Cores to split.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Makes the loggers.</param>
    /// <param name="devices">Free memory of the GPUs; null = a machine without, where nothing waits for memory to come back.</param>
    public NodeAgent(NodeOptions options, ISupervisor supervisor, IProvisioner provisioner, LaunchMachine machine, CpuFacts cpu, TimeProvider time,
        ILoggerFactory loggers, IDeviceMemory? devices = null)
    {
        options = NodeGpus.Pin(options, machine.Gpus.Current);
        _options = options;
        _models = provisioner.Models;
        _gpus = machine.Gpus;
        _board = new ReplicaBoard(machine.Gpus, time);
        _client = new EngineClient(time);
        _logger = loggers.CreateLogger("pool-managerd");
        var threads = ThreadPlan.For(options.Pools, cpu);
        if (threads.Warning(options.Pools) is { } warning)
        {
            LogWarning(_logger, warning);
        }

        var host = new EngineHost(supervisor, provisioner, new PortRange(options.EnginePorts.First, options.EnginePorts.Last), _client, threads, machine);
        var files = new PurgeFiles(options, () => _pools!.Values.Select(p => p.State), time);
        _effects = new PoolEffects(options, host, files, devices, time, _logger);
        _providers = options.Pools.Where(IsRemote).ToImmutableDictionary(p => p.Id,
            p => new ProviderPool(p, options.NodeId, options.Providers[p.Engine.Provider!], _board.Publish, () => _effects.Traffic, time), StringComparer.Ordinal);
        _pools = options.Pools.Where(p => !IsRemote(p)).ToImmutableDictionary(p => p.Id,
            p => new PoolOwner(p, options.NodeId, _effects, _board.Publish, time, _logger), StringComparer.Ordinal);
        _board.Begin([.. options.Pools.SelectMany(p => _pools.TryGetValue(p.Id, out var pool) ? PoolMachine.View(pool.State) : _providers[p.Id].Replicas)]);
    }

    /// <summary>How all replicas are, in the order of the file. Immutable; swapped whole on each change.</summary>
    public ImmutableArray<ReplicaStatus> Snapshot => _board.Snapshot;

    /// <summary>Errors that ended the owner of a replica; empty while all is well. For health.</summary>
    public IEnumerable<Exception> Faults => _pools.Values.SelectMany(p => p.Faults).Concat(_watches.Select(w => w.Fault).OfType<Exception>());

    /// <summary>Begins to provision and start every pool that is to be loaded at start; returns at once.</summary>
    /// <param name="traffic">Knows the requests on the replicas; null = nobody does, and the engines themselves are asked.</param>
    public void Start(IReplicaTraffic? traffic = null)
    {
        _effects.Traffic = traffic ?? _effects.Traffic;
        foreach (var pool in _pools.Values)
        {
            pool.Start();
            if (IdleWatch.Start(pool, _logger) is { } watch)
            {
                _watches.Add(watch);
            }
        }
    }

    /// <summary>Starts one replica that is stopped or failed.</summary>
    /// <returns>False when this node has no such replica with a process.</returns>
    public bool StartReplica(ReplicaId replica) => _pools.TryGetValue(replica.PoolId, out var pool) && pool.StartReplica(replica);

    /// <summary>Tells that a request to a replica met a transport fault or a 5xx; it is probed at once. Never blocks; unknown replicas are ignored.</summary>
    public void ReportFault(ReplicaId replica, string reason)
    {
        if (_pools.TryGetValue(replica.PoolId, out var pool))
        {
            pool.ReportFault(replica, reason);
        }

        FaultReported?.Invoke(replica);
    }

    /// <summary>Called with each replica a fault is reported of; whoever watches engines of others probes them.</summary>
    internal event Action<ReplicaId>? FaultReported;

    /// <summary>Ends the watch of an engine of others and returns when it has had its last word; null = nobody watches any.</summary>
    internal Func<ReplicaId, Task>? EndWatch { get; set; }

    /// <summary>Whether a replica runs what a handoff file describes, and its engine answers.</summary>
    internal bool Runs(HandoffDocument document)
    {
        var state = _pools[document.PoolId!].State;
        return state.Members.FirstOrDefault(m => m.Id.ReplicaName == document.ReplicaId) is { Engine: { State: EngineState.Ready } engine }
            && HandoffPlan.Same(engine.Plan, HandoffPlan.Of(state.Plan, document, _gpus.Current));
    }

    /// <summary>Has a replica run what a handoff file describes; see <see cref="TakeOver"/>.</summary>
    /// <exception cref="OperationConflictException">The pool does something else.</exception>
    internal Task<OperationStatus> TakeOverAsync(HandoffDocument document, Action<OperationStatus> progress, CancellationToken cancellationToken)
    {
        var pool = _pools[document.PoolId!];
        return pool.RunAsync(TakeOver.Word, progress, (log, stop) => new TakeOver(pool, log, document, _gpus.Current, _options.DrainDeadline, stop).RunAsync(), cancellationToken);
    }

    /// <summary>
    /// Does something with this node's part of a pool; see <see cref="PoolCommand"/>. Whatever an operator can cause ends as a failed operation, never as an
    /// exception but one.
    /// </summary>
    /// <param name="command">What to do.</param>
    /// <param name="progress">Called with each change.</param>
    /// <param name="cancellationToken">Ends the wait, not the work.</param>
    /// <returns>The ended operation.</returns>
    /// <exception cref="OperationConflictException">The pool does something else, or is busy and the command does not wait.</exception>
    public Task<OperationStatus> RunAsync(PoolCommand command, Action<OperationStatus> progress, CancellationToken cancellationToken)
    {
        if (ModelCommands.Handles(command))
        {
            return ModelCommands.RunAsync(_models, command, _options.NodeId, progress, cancellationToken);
        }

        if (_pools.TryGetValue(command.PoolId, out var pool))
        {
            if (command is PoolCommand.Preload { Prepared: { } document })
            {
                return pool.RunAsync(command.Word, progress,
                    (log, stop) => new PreparedPreload(pool, log, document, HandoffSurroundings.Of(_options), _gpus.Current, _options.DrainDeadline, stop).RunAsync(), cancellationToken);
            }

            return PoolCommands.RunAsync(pool, command, _options.DrainDeadline, progress, cancellationToken);
        }

        if (_providers.TryGetValue(command.PoolId, out var provider))
        {
            return provider.RunAsync(command, _options.DrainDeadline, progress, cancellationToken);
        }

        if (command is PoolCommand.Purge purge && Snapshot.Where(r => r.Id.PoolId == command.PoolId && r.Source == HandoffSource).ToImmutableArray() is { Length: > 0 } handed)
        {
            return LetGoAsync(purge, handed, progress);
        }

        var known = _options.Pools.Length == 0 ? "it has none" : $"it has {string.Join(", ", _options.Pools.Select(p => p.Id))}";
        return Task.FromResult(new OperationLog(command.Word, command.PoolId, _options.NodeId, progress)
            .End(OperationState.Failed, $"node '{_options.NodeId}' has no pool '{command.PoolId}' ({known})"));
    }

    /// <summary>Shows a replica that somebody else runs, beside the node's own; a newer word replaces an older one.</summary>
    /// <exception cref="ArgumentException">It has the name of one of the node's own.</exception>
    public void Adopt(ReplicaStatus replica)
    {
        if (_pools.TryGetValue(replica.Id.PoolId, out var pool) && pool.State.Members.Any(m => m.Id == replica.Id))
        {
            throw new ArgumentException($"{replica.Id} is one of this node's own replicas", nameof(replica));
        }

        _board.Publish([replica]);
    }

    /// <summary>Key and headers for a replica of kind <c>openai</c>; none for all others. In memory only: they are part of no snapshot.</summary>
    public UpstreamCredentials CredentialsOf(ReplicaId replica) =>
        _options.Pools.FirstOrDefault(p => p.Id == replica.PoolId)?.Engine.Provider is { } name && _options.Providers.TryGetValue(name, out var provider)
            ? provider.Credentials
            : UpstreamCredentials.None;

    /// <summary>The present snapshot, then each newer one; a slow reader misses those between, never the last.</summary>
    public IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync(CancellationToken cancellationToken) => _board.WatchAsync(cancellationToken);

    /// <summary>Stops every engine, all at once; returns when no process of them is left.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await Task.WhenAll(_watches.Select(w => w.DisposeAsync().AsTask())).ConfigureAwait(false);
        await Task.WhenAll(_pools.Values.Select(p => p.StopAsync(cancellationToken))).ConfigureAwait(false);
    }

    /// <summary>Stops what still runs and ends the owners.</summary>
    public async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_watches.Select(w => w.DisposeAsync().AsTask())).ConfigureAwait(false);
        await Task.WhenAll(_pools.Values.Select(p => p.DisposeAsync().AsTask())).ConfigureAwait(false);
        _client.Dispose();
        _board.Dispose();
    }

    // A pool that only handoff files speak of: its engines are not ours to stop. They are watched and shown no more, until a file speaks of them anew.
    private async Task<OperationStatus> LetGoAsync(PoolCommand.Purge command, ImmutableArray<ReplicaStatus> handed, Action<OperationStatus> progress)
    {
        var log = new OperationLog(command.Word, command.PoolId, _options.NodeId, progress);
        foreach (var replica in handed)
        {
            if (EndWatch is { } end)
            {
                await end(replica.Id).ConfigureAwait(false);
            }

            _board.Forget(replica.Id);
            if (command is { Force: true, DrainFirst: false } && replica.Url is { } url)
            {
                _effects.Traffic.Cut(replica.Id, url);
            }

            log.Done($"forget:{replica.Id.ReplicaName}", StepKinds.Purge, "forgotten; whoever runs the engine stops it");
        }

        return log.End(OperationState.Succeeded, null);
    }

    private static bool IsRemote(PoolPlan pool) => pool.Engine.Kind == EngineKinds.OpenAI;

    [LoggerMessage(EventId = 320, Level = LogLevel.Warning, Message = "{Warning}")]
    private static partial void LogWarning(ILogger logger, string warning);
}
