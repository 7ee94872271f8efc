using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Node.Engines;
using Loom.Processes;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Handoff;

/// <summary>
/// Probes an engine that somebody else runs and says how it is, until it is disposed. It is never started, restarted or stopped here. The end of its process is
/// seen before a probe fails; whoever answers at the address later is taken for its successor.
/// </summary>
internal sealed partial class RunningEngineWatch : IAsyncDisposable
{
    private const string NotProbed = "not probed yet";
    private static readonly TimeSpan s_waiting = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_running = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_processEvery = TimeSpan.FromMilliseconds(200);
    private readonly EngineClient _client;
    private readonly Action<ReplicaStatus> _show;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Channel<bool> _doubts = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private BackgroundLoop? _loop;
    private ProcessIdentity? _process;
    private EngineFacts _facts = EngineFacts.None;
    private volatile bool _ready;

    /// <summary>Makes it; nothing is asked or told yet.</summary>
    public RunningEngineWatch(RunningEngine engine, EngineClient client, Action<ReplicaStatus> show, TimeProvider time, ILogger logger)
    {
        Engine = engine;
        _client = client;
        _show = show;
        _time = time;
        _logger = logger;
        _process = engine.Pid is { } pid ? ProcessIdentities.Of(pid) : null;
    }

    public RunningEngine Engine { get; }

    /// <summary>Whether it answered the last probe.</summary>
    public bool Ready => _ready;

    public Exception? Fault => _loop?.Fault;

    /// <summary>Shows it, unready until the first good answer, and begins to probe.</summary>
    public void Start()
    {
        _show(Engine.View(_facts, NotProbed));
        _loop = BackgroundLoop.Start($"engine {Engine.Id} of others", RunAsync, _logger);
    }

    /// <summary>A request to it failed: it is probed at once. Any thread may call, also after the end; never blocks, never throws.</summary>
    public void Doubt() => _doubts.Writer.TryWrite(true);

    public async ValueTask DisposeAsync()
    {
        if (_loop is not null)
        {
            await _loop.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        string? told = NotProbed;
        while (true)
        {
            var trouble = await _client.ProbeAsync(Engine.Health, stop).ConfigureAwait(false);
            if (trouble is null && !_ready)
            {
                _facts = await _client.FactsAsync(Engine.Root, "/" + Engine.HealthPath.TrimStart('/'), stop).ConfigureAwait(false);
                _process ??= Engine.Pid is { } pid ? ProcessIdentities.Of(pid) : null;
            }

            if (trouble != told)
            {
                Tell(told = trouble);
            }

            if (await PauseAsync(trouble is null ? s_running : s_waiting, stop).ConfigureAwait(false) is { } ended)
            {
                Tell(told = ended);
            }
        }
    }

    private void Tell(string? trouble)
    {
        _ready = trouble is null;
        LogState(_logger, Engine.Id.ToString(), trouble is null ? "Ready" : "Unready", trouble ?? "");
        _show(Engine.View(_facts, trouble));
    }

    /// <returns>That its process ended meanwhile; null = it did not, or is not known.</returns>
    private async Task<string?> PauseAsync(TimeSpan pause, CancellationToken stop)
    {
        var began = _time.GetTimestamp();
        while (_time.GetElapsedTime(began) < pause)
        {
            if (_process is { } process && ProcessIdentities.Of(process.Pid) != process)
            {
                _process = null; // told once; from now on its answers alone count
                return $"its process {process.Pid} has ended";
            }

            if (await DoubtedAsync(_process is null ? pause : s_processEvery, stop).ConfigureAwait(false))
            {
                return null;
            }
        }

        return null;
    }

    private async Task<bool> DoubtedAsync(TimeSpan within, CancellationToken stop)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stop);
        Task doubted = _doubts.Reader.WaitToReadAsync(end.Token).AsTask(); // as one without a result: only that can be awaited without throwing
        await Task.WhenAny(doubted, Task.Delay(within, _time, end.Token)).ConfigureAwait(false);
        stop.ThrowIfCancellationRequested();
        await end.CancelAsync().ConfigureAwait(false);
        await doubted.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return _doubts.Reader.TryRead(out _);
    }

    [LoggerMessage(EventId = 353, Level = LogLevel.Information, Message = "engine {Replica}, which others run: {State} {Reason}")]
    private static partial void LogState(ILogger logger, string replica, string state, string reason);
}
