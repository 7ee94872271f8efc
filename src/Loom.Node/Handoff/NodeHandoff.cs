using System.Collections.Concurrent;
using Loom.Node.Engines;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Handoff;

/// <summary>
/// Joins the handoff folder to the node: prepared engines become operations of their pools, running ones are watched and shown beside the node's own.
/// Lifecycle: construct, <see cref="Start"/> once the node has started, dispose before the node.
/// </summary>
public sealed partial class NodeHandoff : IHandoffTarget, IAsyncDisposable
{
    private readonly NodeAgent _node;
    private readonly NodeOptions _options;
    private readonly EngineClient _client;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly ConcurrentDictionary<ReplicaId, RunningEngineWatch> _running = new();
    private readonly ConcurrentDictionary<string, Task> _operations = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stopping = new();
    private readonly HandoffWatcher _watcher;
    private FileSystemWatcher? _hints;
    private bool _disposed;

    /// <summary>Makes it; nothing is watched yet.</summary>
    /// <param name="options">The folder, and which pools there are.</param>
    /// <param name="node">Who takes engines over.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Makes the logger.</param>
    /// <param name="judged">Called with the outcome of each look at a file, see <see cref="HandoffWatcher"/>; null = nobody counts.</param>
    public NodeHandoff(NodeOptions options, NodeAgent node, TimeProvider time, ILoggerFactory loggers, Action<string>? judged = null)
    {
        _options = options;
        _node = node;
        _time = time;
        _logger = loggers.CreateLogger("pool-managerd");
        _client = new EngineClient(time);
        Surroundings = HandoffSurroundings.Of(options);
        _watcher = new HandoffWatcher(new HandoffFolder(options.Handoff.Folder), this, options.Handoff, time, _logger, judged);
        node.FaultReported += Doubt;
        node.EndWatch = EndAsync;
    }

    public HandoffSurroundings Surroundings { get; }

    /// <summary>What is wrong with the folder or with a watch, one sentence each; empty while all is well. For health.</summary>
    public IEnumerable<string> Troubles => [.. _watcher.Trouble is { } trouble ? new[] { trouble } : [], .. _running.Values.Select(w => w.Fault?.Message).OfType<string>()];

    /// <summary>Begins to watch the folder.</summary>
    public void Start()
    {
        _watcher.Start();
        _hints = Hints();
    }

    public bool Take(HandoffDocument document)
    {
        if (document.State == "running")
        {
            Watch(document);
            return true;
        }

        if (_operations.TryGetValue(document.PoolId!, out var busy) && !busy.IsCompleted)
        {
            return false;
        }

        var work = TakeOverAsync(document);
        _operations[document.PoolId!] = work;
        return true;
    }

    public bool IsReady(HandoffDocument document)
    {
        if (document.State == "running")
        {
            return _running.TryGetValue(IdOf(document), out var watch) && watch.Ready;
        }

        return (!_operations.TryGetValue(document.PoolId!, out var work) || work.IsCompleted)
            && _node.Runs(document);
    }

    public async ValueTask DisposeAsync()
    {
        if (_disposed)
        {
            return; // ended with the node's stop, before its end
        }

        _disposed = true;
        _node.FaultReported -= Doubt;
        _node.EndWatch = null;
        _hints?.Dispose();
        await _watcher.DisposeAsync().ConfigureAwait(false);
        await _stopping.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_operations.Values).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        foreach (var watch in _running.Values)
        {
            await watch.DisposeAsync().ConfigureAwait(false);
        }

        _client.Dispose();
        _stopping.Dispose();
    }

    private ReplicaId IdOf(HandoffDocument document) =>
        new(_options.NodeId, document.PoolId!, document.State == "running" ? HandoffPolicy.RunningName(document, Surroundings.Pool(document.PoolId!)) : document.ReplicaId!);

    private void Watch(HandoffDocument document)
    {
        var engine = RunningEngine.Of(_options.NodeId, document, Surroundings.Pool(document.PoolId!));
        if (_running.TryRemove(engine.Id, out var before))
        {
            _ = EndAsync(before);
        }

        // What a watch that was replaced says afterwards is said by nobody.
        RunningEngineWatch watch = null!;
        watch = new RunningEngineWatch(engine, _client, status =>
        {
            if (_running.TryGetValue(engine.Id, out var current) && ReferenceEquals(current, watch))
            {
                _node.Adopt(status);
            }
        }, _time, _logger);
        _running[engine.Id] = watch;
        watch.Start();
    }

    private Task EndAsync(ReplicaId replica) => _running.TryRemove(replica, out var watch) ? EndAsync(watch) : Task.CompletedTask;

    private async Task EndAsync(RunningEngineWatch watch)
    {
        try
        {
            await watch.DisposeAsync().ConfigureAwait(false);
        }
        catch (Exception e)
        {
            LogWatch(_logger, e, watch.Engine.Id.ToString());
        }
    }

    private async Task TakeOverAsync(HandoffDocument document)
    {
        await Task.Yield();
        while (true)
        {
            try
            {
                var end = await _node.TakeOverAsync(document, static _ => { }, _stopping.Token).ConfigureAwait(false);
                if (end.Status != OperationState.Succeeded)
                {
                    LogTrouble(_logger, $"{document.PoolId}/{document.ReplicaId}", end.Error ?? end.Status.ToString());
                }

                return;
            }
            catch (OperationConflictException)
            {
                await Task.Delay(_options.Handoff.Interval, _time, _stopping.Token).ConfigureAwait(false); // the pool does something else first
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private void Doubt(ReplicaId replica)
    {
        if (_running.TryGetValue(replica, out var watch))
        {
            watch.Doubt();
        }
    }

    // Only a hint: where the kernel gives none, the interval is enough.
    private FileSystemWatcher? Hints()
    {
        try
        {
            Directory.CreateDirectory(_options.Handoff.Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var hints = new FileSystemWatcher(_options.Handoff.Folder, "*.json") { NotifyFilter = NotifyFilters.FileName | NotifyFilters.LastWrite | NotifyFilters.Size };
            hints.Created += (_, _) => _watcher.Hint();
            hints.Changed += (_, _) => _watcher.Hint();
            hints.Renamed += (_, _) => _watcher.Hint();
            hints.EnableRaisingEvents = true;
            return hints;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            LogNoHints(_logger, _options.Handoff.Folder, e.Message);
            return null;
        }
    }

    [LoggerMessage(EventId = 356, Level = LogLevel.Warning, Message = "engine {Replica} handed over: {Trouble}")]
    private static partial void LogTrouble(ILogger logger, string replica, string trouble);

    [LoggerMessage(EventId = 357, Level = LogLevel.Error, Message = "the watch of {Replica} did not end well")]
    private static partial void LogWatch(ILogger logger, Exception error, string replica);

    [LoggerMessage(EventId = 358, Level = LogLevel.Debug, Message = "no notifications for {Folder}, it is looked at each interval: {Why}")]
    private static partial void LogNoHints(ILogger logger, string folder, string why);
}
