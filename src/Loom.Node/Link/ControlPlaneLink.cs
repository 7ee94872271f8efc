using System.Collections.Immutable;
using System.Net;
using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Core.Settings;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Link;

/// <summary>
/// The agent's side of a cluster: registers, beats, and registers again when it is not known any more. Nothing that a network or a control plane does ends
/// it or touches the engines. Single use: constructed, started, asked to leave, disposed.
/// </summary>
public sealed partial class ControlPlaneLink : IAsyncDisposable
{
    private static readonly TimeSpan s_leastGap = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_farewell = TimeSpan.FromSeconds(3);

    private readonly LinkOptions _options;
    private readonly Uri _listens;
    private readonly Func<NodeRegistration> _facts;
    private readonly IServedNode _node;
    private readonly ProxiedRuns _runs;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly ILogger _log;
    private readonly LinkClient _client;
    private readonly string _tokenFp6;
    private readonly string _instance = Guid.NewGuid().ToString();
    private readonly Channel<bool> _wakes = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private BackgroundLoop? _loop;
    private BackgroundLoop? _watch;
    private volatile bool _draining;
    private int _current;
    private bool _registered;
    private bool _beats;
    private long _seq;

    /// <param name="options">Where the control planes are.</param>
    /// <param name="listens">Address the agent's listener is bound to.</param>
    /// <param name="facts">What the machine has now; address, ids and instance are filled in here.</param>
    /// <param name="node">The node it speaks for.</param>
    /// <param name="runs">How busy its replicas are.</param>
    /// <param name="time">Clock.</param>
    /// <param name="random">Source of jitter; used by this instance alone.</param>
    /// <param name="log">Where to log.</param>
    public ControlPlaneLink(
        LinkOptions options, Uri listens, Func<NodeRegistration> facts, IServedNode node, ProxiedRuns runs, TimeProvider time, Random random, ILogger log)
    {
        _options = options;
        _listens = listens;
        _facts = facts;
        _node = node;
        _runs = runs;
        _time = time;
        _random = random;
        _log = log;
        _client = new LinkClient(options.Token, time);
        _tokenFp6 = options.Token is { } token ? Secret.Fingerprint(token) : "none";
    }

    /// <summary>Why nobody beats any more; null while all is well.</summary>
    public IEnumerable<Exception> Faults => new[] { _loop?.Fault, _watch?.Fault }.OfType<Exception>();

    /// <summary>Completes, once started, when nobody beats any more or sees what changes: the node is lost to its cluster then.</summary>
    public Task<Exception> Broken { get; private set; } = BackgroundLoop.FirstFault();

    /// <summary>Begins to register and beat; returns at once.</summary>
    public void Start()
    {
        _watch = BackgroundLoop.Start("watch readiness", WatchAsync, _log);
        _loop = BackgroundLoop.Start("heartbeats", RunAsync, _log);
        Broken = BackgroundLoop.FirstFault(_watch, _loop);
    }

    /// <summary>Says at once that this node takes no new work.</summary>
    public void Drain()
    {
        _draining = true;
        _wakes.Writer.TryWrite(true);
    }

    /// <summary>Stops beating and signs off; a control plane that cannot be reached learns it by the silence.</summary>
    public async Task LeaveAsync()
    {
        foreach (var loop in new[] { _watch, _loop }.OfType<BackgroundLoop>())
        {
            await loop.DisposeAsync().ConfigureAwait(false);
        }

        if (!_registered)
        {
            return;
        }

        _registered = false;
        using var patience = new CancellationTokenSource(s_farewell, _time);
        try
        {
            var answer = await _client.LeaveAsync(_options.ControlPlanes[_current], _options.NodeId, patience.Token).ConfigureAwait(false);
            LogLeft(_log, _options.ControlPlanes[_current], _options.NodeId, answer.Status is { } status ? $"status {(int)status}" : answer.Message);
        }
        catch (OperationCanceledException)
        {
            LogLeft(_log, _options.ControlPlanes[_current], _options.NodeId, "no answer");
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var loop in new[] { _watch, _loop }.OfType<BackgroundLoop>())
        {
            await loop.DisposeAsync().ConfigureAwait(false);
        }

        _client.Dispose();
    }

    // What a control plane must hear of at once: who can be given work, and with which model.
    private static string Readiness(ImmutableArray<ReplicaStatus> replicas) =>
        string.Join('|', replicas.Select(r => $"{r.Id.PoolId}/{r.Id.ReplicaName} {r.State} {r.Url is not null} {r.Model} {r.SlotsTotal}"));

    private async Task WatchAsync(CancellationToken cancel)
    {
        var before = "";
        await foreach (var replicas in _node.WatchAsync(cancel).ConfigureAwait(false))
        {
            var now = Readiness(replicas);
            if (now != before)
            {
                before = now;
                _wakes.Writer.TryWrite(true);
            }
        }
    }

    private async Task RunAsync(CancellationToken cancel)
    {
        var failures = 0;
        while (!cancel.IsCancellationRequested)
        {
            var answer = _registered ? await BeatAsync(cancel).ConfigureAwait(false) : await RegisterAsync(cancel).ConfigureAwait(false);
            if (answer.Status == HttpStatusCode.OK)
            {
                failures = 0;
                if (_beats)
                {
                    // The first heartbeat follows its registration at once, and no heartbeat the one before more closely than this.
                    await Task.Delay(s_leastGap, _time, cancel).ConfigureAwait(false);
                    await SleepAsync(LinkPace.Next(_options.Heartbeat, answer.NextHeartbeatMs, _random.NextDouble()), cancel).ConfigureAwait(false);
                }
            }
            else if (_registered && answer.Status == HttpStatusCode.NotFound)
            {
                LogUnknown(_log, _options.ControlPlanes[_current], _options.NodeId);
                _registered = false;
            }
            else
            {
                // Of several control planes the first that can be reached is taken; only when none can, or one refuses, is there a pause, which no change of
                // readiness ends: it protects a control plane that is in trouble.
                _current = answer.Status is null ? (_current + 1) % _options.ControlPlanes.Length : _current;
                if (_current == 0 || answer.Status is not null)
                {
                    await Task.Delay(LinkPace.Backoff(++failures), _time, cancel).ConfigureAwait(false);
                }
            }
        }
    }

    private async Task SleepAsync(TimeSpan pause, CancellationToken cancel)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task woken = _wakes.Reader.WaitToReadAsync(end.Token).AsTask(); // as such: a Task<T> cannot be awaited without its exception
        await Task.WhenAny(woken, Task.Delay(pause, _time, end.Token)).ConfigureAwait(false);
        await end.CancelAsync().ConfigureAwait(false);
        await woken.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _wakes.Reader.TryRead(out _);
        cancel.ThrowIfCancellationRequested();
    }

    private async Task<LinkAnswer> RegisterAsync(CancellationToken cancel)
    {
        var controlPlane = _options.ControlPlanes[_current];
        var address = await AddressAsync(controlPlane, cancel).ConfigureAwait(false);
        if (address is null)
        {
            return new LinkAnswer(null, "");
        }

        var registration = _facts() with { NodeId = _options.NodeId, MachineId = _options.MachineId, InstanceId = _instance, Address = address };
        var answer = await _client.RegisterAsync(controlPlane, registration, cancel).ConfigureAwait(false);
        if (answer.Status == HttpStatusCode.OK)
        {
            _registered = true;
            _beats = false;
            LogRegistered(_log, controlPlane, _options.NodeId, address, _tokenFp6);
            if (_options.Heartbeat.TotalMilliseconds >= answer.NodeTimeoutMs && answer.NodeTimeoutMs > 0)
            {
                LogPace(_log, _options.Heartbeat.TotalSeconds, answer.NodeTimeoutMs, answer.NextHeartbeatMs);
            }
        }
        else if (answer.Status is { } status)
        {
            LogRefused(_log, controlPlane, _options.NodeId, (int)status, answer.Message, _tokenFp6);
        }
        else
        {
            LogUnreachable(_log, controlPlane, _options.NodeId, answer.Message, _tokenFp6);
        }

        return answer;
    }

    private async Task<LinkAnswer> BeatAsync(CancellationToken cancel)
    {
        var controlPlane = _options.ControlPlanes[_current];
        var beat = new NodeHeartbeat
        {
            Timestamp = _time.GetUtcNow(),
            InstanceId = _instance,
            Seq = ++_seq,
            Pools = [.. _node.Snapshot.Select(r => PoolBeats.Of(r, _runs.Busy(r.Id)))],
            Gpus = _facts().Capabilities.Gpus,
            Draining = _draining,
        };
        var answer = await _client.BeatAsync(controlPlane, _options.NodeId, beat, cancel).ConfigureAwait(false);
        _beats |= answer.Status == HttpStatusCode.OK;
        if (answer.Status is null)
        {
            LogMissed(_log, controlPlane, answer.Message);
        }
        else if (answer.Status is not (HttpStatusCode.OK or HttpStatusCode.NotFound))
        {
            LogBeatRefused(_log, controlPlane, (int)answer.Status, answer.Message, _tokenFp6);
        }

        return answer;
    }

    /// <summary>Where the control plane reaches this agent: what is configured, else the bind address, else this machine's address on the way there.</summary>
    private async Task<string?> AddressAsync(Uri controlPlane, CancellationToken cancel)
    {
        if (_options.Advertise is { } advertised)
        {
            return advertised.OriginalString.TrimEnd('/');
        }

        var bound = _options.Bind.Address;
        if (bound.Equals(IPAddress.Any) || bound.Equals(IPAddress.IPv6Any))
        {
            var answer = await _client.ReachAsync(controlPlane, cancel).ConfigureAwait(false);
            if (_client.LocalAddress is not { } local || answer.Status is null)
            {
                LogUnreachable(_log, controlPlane, _options.NodeId, answer.Message, _tokenFp6);
                return null;
            }

            bound = local;
        }

        return $"http://{new IPEndPoint(bound, _listens.Port)}";
    }

    [LoggerMessage(EventId = 370, EventName = "registration", Level = LogLevel.Information,
        Message = "registration: node {NodeId} registered at {ControlPlane}, address={Address} token_fp6={TokenFp6}")]
    private static partial void LogRegistered(ILogger logger, Uri controlPlane, string nodeId, string address, string tokenFp6);

    [LoggerMessage(EventId = 371, Level = LogLevel.Error,
        Message = "registration: REFUSED by {ControlPlane} for node {NodeId} with status {Status}: {Reason}; token_fp6={TokenFp6}. Engines keep running; trying again")]
    private static partial void LogRefused(ILogger logger, Uri controlPlane, string nodeId, int status, string reason, string tokenFp6);

    [LoggerMessage(EventId = 372, Level = LogLevel.Warning,
        Message = "registration: {ControlPlane} cannot be reached by node {NodeId}: {Reason}; token_fp6={TokenFp6}. Engines keep running; trying again")]
    private static partial void LogUnreachable(ILogger logger, Uri controlPlane, string nodeId, string reason, string tokenFp6);

    [LoggerMessage(EventId = 373, Level = LogLevel.Warning, Message = "heartbeat to {ControlPlane} got no answer: {Reason}; engines keep running")]
    private static partial void LogMissed(ILogger logger, Uri controlPlane, string reason);

    [LoggerMessage(EventId = 374, Level = LogLevel.Error, Message = "heartbeat REFUSED by {ControlPlane} with status {Status}: {Reason}; token_fp6={TokenFp6}. Engines keep running; trying again")]
    private static partial void LogBeatRefused(ILogger logger, Uri controlPlane, int status, string reason, string tokenFp6);

    [LoggerMessage(EventId = 375, Level = LogLevel.Information, Message = "{ControlPlane} does not know node {NodeId} any more; registering again")]
    private static partial void LogUnknown(ILogger logger, Uri controlPlane, string nodeId);

    [LoggerMessage(EventId = 376, Level = LogLevel.Warning,
        Message = "a heartbeat every {Seconds} s cannot keep this node online, whose control plane waits {TimeoutMs} ms; beating every {AskedMs} ms instead")]
    private static partial void LogPace(ILogger logger, double seconds, int timeoutMs, int askedMs);

    [LoggerMessage(EventId = 377, Level = LogLevel.Information, Message = "registration: signed off from {ControlPlane} as node {NodeId}: {Answer}")]
    private static partial void LogLeft(ILogger logger, Uri controlPlane, string nodeId, string answer);
}
