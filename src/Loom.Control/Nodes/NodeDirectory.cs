using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Diagnostics.Metrics;
using System.Threading.Channels;
using Loom.Control.Catalog;
using Loom.Core.Loops;
using Loom.Core.Settings;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Nodes;

/// <summary>
/// The owner of the node registry: every event is one short step under its lock. What changed is published to the gateway by a loop of its own, so that
/// no beat waits for it, and the less often the more it costs.
/// </summary>
public sealed partial class NodeDirectory : IAsyncDisposable
{
    // At most one part in so many of the time goes into publishing.
    private const int RestPerWork = 10;
    private static readonly TimeSpan s_longestRest = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly Lock _publishing = new();
    private readonly NodesOptions _options;
    private readonly NodeRegistry _registry;
    private readonly ReplicaTable _replicas;
    private readonly NodeMetrics _metrics;
    private readonly INodeTraffic _traffic;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly long _began;
    private readonly Channel<bool> _changes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Dictionary<string, ITimer> _drains = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, ImmutableArray<KeyValuePair<string, string>>> _headers = new(StringComparer.Ordinal);
    private BackgroundLoop? _publisher;
    private BackgroundLoop? _checker;
    private long _published;

    internal NodeDirectory(NodesOptions options, ReplicaTable replicas, INodeTraffic traffic, Meter meter, TimeProvider time, ILogger log)
    {
        _options = options;
        _replicas = replicas;
        _traffic = traffic;
        _time = time;
        _log = log;
        _began = time.GetTimestamp();
        _registry = new NodeRegistry(options, LeasesOf);
        _metrics = new NodeMetrics(meter);
        _metrics.Observe(CountByState);
    }

    /// <summary>Settings.</summary>
    internal NodesOptions Options => _options;

    private TimeSpan Now => _time.GetElapsedTime(_began);

    /// <summary>Why nobody looks for silent nodes or publishes any more; empty while all is well.</summary>
    public IEnumerable<Exception> Faults => new[] { _publisher?.Fault, _checker?.Fault }.OfType<Exception>();

    /// <summary>Completes, once started, when nobody publishes or looks for silent nodes any more: what the gateway knows grows old then.</summary>
    public Task<Exception> Broken { get; private set; } = BackgroundLoop.FirstFault();

    /// <summary>Begins to publish and, where nodes register, to look for silent ones.</summary>
    public void Start()
    {
        _publisher = BackgroundLoop.Start("publish nodes", PublishLoopAsync, _log);
        _checker = _options.Registers ? BackgroundLoop.Start("look for silent nodes", CheckLoopAsync, _log) : null;
        Broken = _checker is { } checker ? BackgroundLoop.FirstFault(_publisher, checker) : BackgroundLoop.FirstFault(_publisher);
    }

    /// <summary>The node in this process says who it is and how its replicas are; seen by the gateway when this returns.</summary>
    public void TellLocal(NodeRegistration registration, ImmutableArray<ReplicaStatus> replicas)
    {
        lock (_gate)
        {
            _registry.TellLocal(registration, replicas, Now);
        }

        Publish();
    }

    /// <summary>A node says who it is.</summary>
    /// <param name="registration">Who it is.</param>
    /// <param name="token">What it logged in with; null = it did not.</param>
    internal RegisterOutcome Register(NodeRegistration registration, string? token)
    {
        RegisterOutcome outcome;
        lock (_gate)
        {
            outcome = _registry.Register(registration, Now, _time.GetUtcNow());
            if (outcome != RegisterOutcome.InUse)
            {
                _headers[registration.NodeId] = token is null ? [] : [new("Authorization", "Bearer " + token)];
            }
        }

        var tokenFp6 = token is null ? null : Secret.Fingerprint(token);

        _metrics.Registered(outcome);
        var words = outcome switch
        {
            RegisterOutcome.New => "registered",
            RegisterOutcome.Again => "registered again",
            RegisterOutcome.Restarted => "registered with a new start of its agent; what ran on the old one is lost",
            RegisterOutcome.Replaced => "registered from another machine; the one before is offline",
            _ => "REFUSED: another machine that is online uses this node id",
        };
        if (outcome == RegisterOutcome.InUse)
        {
            LogRefused(_log, registration.NodeId, words, registration.Address, registration.MachineId, tokenFp6);
        }
        else
        {
            LogRegistered(_log, registration.NodeId, words, registration.Address, registration.InstanceId, tokenFp6);
        }

        if (outcome is RegisterOutcome.Restarted or RegisterOutcome.Replaced)
        {
            Publish();
            _traffic.Lose(registration.NodeId);
        }

        Signal();
        return outcome;
    }

    /// <summary>A node beats.</summary>
    /// <param name="id">The node.</param>
    /// <param name="scan">Head and digest.</param>
    /// <param name="content">Reads the whole; called only when it says something new.</param>
    internal BeatOutcome Beat(string id, HeartbeatScan scan, Func<NodeHeartbeat> content)
    {
        var wall = _time.GetUtcNow();
        BeatOutcome outcome;
        bool arrives;
        lock (_gate)
        {
            arrives = _registry.Find(id) is { Life.State: not NodeState.Online };
            outcome = _registry.Beat(id, scan.InstanceId, scan.Seq, scan.Digest, scan.Timestamp, Now, wall);
        }

        if (outcome == BeatOutcome.NeedsContent)
        {
            // Read outside the lock; two beats of one node at a time would be a fault of the node, and the later one wins.
            var beat = content();
            lock (_gate)
            {
                _registry.Apply(id, scan.InstanceId, scan.Digest, beat, wall);
            }
        }

        _metrics.Beaten(outcome);
        if (arrives && outcome is BeatOutcome.Same or BeatOutcome.NeedsContent)
        {
            LogOnline(_log, id);
        }

        if (outcome is BeatOutcome.Same or BeatOutcome.NeedsContent)
        {
            Signal();
        }

        return outcome;
    }

    /// <summary>A node refused a connection or broke it.</summary>
    internal void Refused(string id, string reason)
    {
        bool news;
        lock (_gate)
        {
            news = _registry.Refused(id, reason, _time.GetUtcNow());
        }

        if (news)
        {
            LogUnreachable(_log, id, reason);
            Publish();
        }
    }

    /// <summary>Lets running work on a node finish and sends no more; what still runs after <paramref name="deadline"/> is cut.</summary>
    /// <returns>False when nobody knows the node.</returns>
    internal bool Drain(string id, TimeSpan deadline)
    {
        lock (_gate)
        {
            if (!_registry.Drain(id, drained: true))
            {
                return false;
            }

            EndDrain(id);
            _drains[id] = _time.CreateTimer(_ => _traffic.Cut(id, null), null, deadline, Timeout.InfiniteTimeSpan);
        }

        LogDrain(_log, id, deadline.TotalMilliseconds);
        Publish();
        return true;
    }

    /// <summary>Ends what still runs in one pool of a node with <c>POOL_UNREADY</c>.</summary>
    internal void Cut(string id, string poolId) => _traffic.Cut(id, poolId);

    /// <summary>Sends work to a node again.</summary>
    /// <returns>False when nobody knows the node.</returns>
    internal bool Undrain(string id)
    {
        lock (_gate)
        {
            if (!_registry.Drain(id, drained: false))
            {
                return false;
            }

            EndDrain(id);
        }

        LogUndrain(_log, id);
        Publish();
        return true;
    }

    /// <summary>Forgets a node and its pools.</summary>
    /// <returns>False when nobody knows it.</returns>
    internal bool Remove(string id)
    {
        lock (_gate)
        {
            if (!_registry.Remove(id))
            {
                return false;
            }

            _headers.TryRemove(id, out _);
            EndDrain(id);
        }

        _metrics.Left("removed");
        LogRemoved(_log, id);
        Publish();
        return true;
    }

    /// <summary>Whether a node is known and lives in this process.</summary>
    internal bool IsLocal(string id)
    {
        lock (_gate)
        {
            return _registry.Find(id) is { IsLocal: true };
        }
    }

    /// <summary>Where a node is reached; false when nobody knows it.</summary>
    public bool TryAddress(string id, [NotNullWhen(true)] out string? address)
    {
        lock (_gate)
        {
            address = _registry.Find(id)?.Registration.Address;
            return address is not null;
        }
    }

    /// <summary>
    /// What opens the agent of a node: the token it registered with, which it knows already. Another one, above all this cluster's own, would be given away to
    /// whatever address a node names. Safe for any thread, no work.
    /// </summary>
    internal ImmutableArray<KeyValuePair<string, string>> HeadersOf(string id) => _headers.TryGetValue(id, out var headers) ? headers : [];

    /// <summary>Whether a node is known and not taken for offline.</summary>
    internal bool IsThere(string id)
    {
        lock (_gate)
        {
            return _registry.Find(id) is { Life.State: not NodeState.Offline };
        }
    }

    /// <summary>The instance that is expected to beat; null when nobody knows the node.</summary>
    internal string? InstanceOf(string id)
    {
        lock (_gate)
        {
            return _registry.Find(id)?.Registration.InstanceId;
        }
    }

    /// <summary>One node; null when nobody knows it.</summary>
    public NodeView? View(string id)
    {
        lock (_gate)
        {
            return _registry.Find(id) is { } node ? NodeViews.Of(node, Now) : null;
        }
    }

    /// <summary>All nodes, by id; only those of a state when one is named.</summary>
    public ImmutableArray<NodeView> Views(NodeState? state)
    {
        lock (_gate)
        {
            return [.. _registry.Nodes.Where(n => state is null || n.Life.State == state).Select(n => NodeViews.Of(n, Now))];
        }
    }

    /// <summary>Looks for silent nodes now.</summary>
    internal void Check()
    {
        CheckResult result;
        lock (_gate)
        {
            result = _registry.Check(Now, _time.GetUtcNow());
            foreach (var id in result.Forgotten)
            {
                EndDrain(id);
            }
        }

        // First nobody is sent there any more, then what runs there is told.
        Publish();
        foreach (var id in result.Doubted)
        {
            LogDoubted(_log, id);
        }

        foreach (var id in result.Lost)
        {
            LogOffline(_log, id, _options.Timeout.TotalMilliseconds);
            _traffic.Lose(id);
        }

        foreach (var id in result.Forgotten)
        {
            _metrics.Left("forgotten");
            LogForgotten(_log, id, _options.Forget.TotalSeconds);
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var loop in new[] { _checker, _publisher }.OfType<BackgroundLoop>())
        {
            await loop.DisposeAsync().ConfigureAwait(false);
        }

        lock (_gate)
        {
            foreach (var id in _drains.Keys.ToList())
            {
                EndDrain(id);
            }
        }
    }

    private void EndDrain(string id)
    {
        if (_drains.Remove(id, out var timer))
        {
            timer.Dispose();
        }
    }

    private void Signal() => _changes.Writer.TryWrite(true);

    private TimeSpan Publish()
    {
        lock (_publishing)
        {
            ImmutableArray<ReplicaStatus> offers;
            lock (_gate)
            {
                if (_registry.Version == _published)
                {
                    return TimeSpan.Zero;
                }

                _published = _registry.Version;
                offers = _registry.Offers();
            }

            var began = _time.GetTimestamp();
            _replicas.Publish(offers);
            return _time.GetElapsedTime(began);
        }
    }

    private async Task PublishLoopAsync(CancellationToken cancel)
    {
        while (await _changes.Reader.WaitToReadAsync(cancel).ConfigureAwait(false))
        {
            _changes.Reader.TryRead(out _);
            var rest = Publish() * RestPerWork;
            if (rest > TimeSpan.FromMilliseconds(1))
            {
                await Task.Delay(rest < s_longestRest ? rest : s_longestRest, _time, cancel).ConfigureAwait(false);
            }
        }
    }

    private async Task CheckLoopAsync(CancellationToken cancel)
    {
        using var tick = new PeriodicTimer(_options.CheckInterval, _time);
        while (await tick.WaitForNextTickAsync(cancel).ConfigureAwait(false))
        {
            Check();
        }
    }

    private int LeasesOf(ReplicaId id) => _replicas.Current.Find(id)?.Load.Leases ?? 0;

    private IEnumerable<(string State, int Count)> CountByState()
    {
        lock (_gate)
        {
            var nodes = _registry.Nodes;
            return [.. Enum.GetValues<NodeState>().Select(s => (NodeViews.Name(s), nodes.Count(n => n.Life.State == s)))];
        }
    }

    [LoggerMessage(EventId = 340, EventName = "node_registration", Level = LogLevel.Information,
        Message = "node_registration: node {NodeId} {Outcome}, address={Address} instance={InstanceId} token_fp6={TokenFp6}")]
    private static partial void LogRegistered(ILogger logger, string nodeId, string outcome, string address, string instanceId, string? tokenFp6);

    [LoggerMessage(EventId = 341, Level = LogLevel.Warning,
        Message = "node_registration: node {NodeId} {Outcome}, address={Address} machine={MachineId} token_fp6={TokenFp6}")]
    private static partial void LogRefused(ILogger logger, string nodeId, string outcome, string address, string machineId, string? tokenFp6);

    [LoggerMessage(EventId = 342, Level = LogLevel.Information, Message = "node {NodeId} is online")]
    private static partial void LogOnline(ILogger logger, string nodeId);

    [LoggerMessage(EventId = 343, Level = LogLevel.Warning, Message = "node {NodeId} is offline: silent for more than {TimeoutMs} ms")]
    private static partial void LogOffline(ILogger logger, string nodeId, double timeoutMs);

    [LoggerMessage(EventId = 344, Level = LogLevel.Warning, Message = "node {NodeId} is silent, and so are many others or this check came late; it gets no work, the next check decides")]
    private static partial void LogDoubted(ILogger logger, string nodeId);

    [LoggerMessage(EventId = 345, Level = LogLevel.Warning, Message = "node {NodeId} gets no work until its next heartbeat: {Reason}")]
    private static partial void LogUnreachable(ILogger logger, string nodeId, string reason);

    [LoggerMessage(EventId = 346, Level = LogLevel.Information, Message = "node {NodeId} drains; what still runs in {DeadlineMs} ms is cut")]
    private static partial void LogDrain(ILogger logger, string nodeId, double deadlineMs);

    [LoggerMessage(EventId = 347, Level = LogLevel.Information, Message = "node {NodeId} takes work again")]
    private static partial void LogUndrain(ILogger logger, string nodeId);

    [LoggerMessage(EventId = 348, Level = LogLevel.Information, Message = "node {NodeId} was removed")]
    private static partial void LogRemoved(ILogger logger, string nodeId);

    [LoggerMessage(EventId = 349, Level = LogLevel.Information, Message = "node {NodeId} was offline for {ForgetSecs} s and is forgotten")]
    private static partial void LogForgotten(ILogger logger, string nodeId, double forgetSecs);
}
