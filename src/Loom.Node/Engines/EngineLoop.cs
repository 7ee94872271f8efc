using System.Threading.Channels;
using Loom.Core.Loops;
using Loom.Node.Provisioning;
using Loom.Processes;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Engines;

/// <summary>
/// The single owner of one replica. Everything that happens to it arrives over one channel and is judged by <see cref="EngineMachine"/>; what the machine
/// wants done runs beside the loop and ends in another event, so nothing here needs a lock and no wait blocks a stop.
/// </summary>
public sealed partial class EngineLoop : IAsyncDisposable
{
    private readonly Channel<Input> _inputs = Channel.CreateUnbounded<Input>(new UnboundedChannelOptions { SingleReader = true });
    private readonly List<Waiter> _waiters = [];
    private readonly List<Task> _work = [];
    private readonly EngineMachine _machine;
    private readonly IEngineEffects _effects;
    private readonly Action<EngineState> _publish;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly BackgroundLoop _loop;
    private CancellationTokenSource _scope = new();
    private EngineState _state = new EngineState.Stopped(null);
    private int _watchedSpawn;

    /// <summary>Starts the loop; the replica is stopped until <see cref="Start"/>.</summary>
    /// <param name="name">Name in logs: <c>pool/replica</c>.</param>
    /// <param name="machine">Decides.</param>
    /// <param name="effects">Does.</param>
    /// <param name="publish">Called in order with each new state; must return at once.</param>
    /// <param name="time">Clock of its pauses.</param>
    /// <param name="logger">Where changes of state are told.</param>
    public EngineLoop(string name, EngineMachine machine, IEngineEffects effects, Action<EngineState> publish, TimeProvider time, ILogger logger)
    {
        Name = name;
        _machine = machine;
        _effects = effects;
        _publish = publish;
        _time = time;
        _logger = logger;
        _loop = BackgroundLoop.Start($"engine {name}", RunAsync, logger);
    }

    public string Name { get; }

    /// <summary>The error that ended the loop, or null; health reports it.</summary>
    public Exception? Fault => _loop.Fault;

    /// <summary>Wants it running; does nothing while it is.</summary>
    public void Start() => Post(new EngineEvent.StartWanted());

    /// <summary>Tells that a request failed, so that it is probed at once. Never blocks.</summary>
    public void ReportFault(string reason) => Post(new EngineEvent.FaultReported(reason));

    /// <summary>Stops it; returns when nothing of it is left, also when the loop has ended by an error.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        Post(new EngineEvent.StopWanted());
        await ReachAsync(s => s is EngineState.Stopped, cancellationToken).ConfigureAwait(false);
        if (Fault is not null)
        {
            await RemoveOrphanAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until its state is such; returns at once if it already is.</summary>
    /// <exception cref="InvalidOperationException">The loop ended by an error, so no state comes any more.</exception>
    public async Task WhenAsync(Func<EngineState, bool> condition, CancellationToken cancellationToken)
    {
        if (!await ReachAsync(condition, cancellationToken).ConfigureAwait(false))
        {
            throw new InvalidOperationException($"the loop of engine {Name} has ended by an error; see health", Fault);
        }
    }

    /// <summary>Waits for a state; false when the loop faulted before it came.</summary>
    private async Task<bool> ReachAsync(Func<EngineState, bool> condition, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(condition, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        if (!_inputs.Writer.TryWrite(new Input(null, waiter)))
        {
            waiter.Done.TrySetResult(); // the loop is disposed, which stopped the engine
        }

        await Task.WhenAny(waiter.Done.Task, _loop.Completion).WaitAsync(cancellationToken).ConfigureAwait(false);
        return waiter.Done.Task.IsCompleted || Fault is null;
    }

    /// <summary>Stops the engine and ends the loop.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_loop.Completion.IsCompletedSuccessfully)
        {
            await StopAsync(CancellationToken.None).ConfigureAwait(false);
        }

        _inputs.Writer.TryComplete();
        await _loop.DisposeAsync().ConfigureAwait(false);
        _scope.Dispose();
    }

    // The loop is gone, its process may not be.
    private async Task RemoveOrphanAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _effects.RemoveProcessAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            LogEffectFailed(_logger, e, Name, nameof(EngineEffect.Remove));
        }
    }

    private void Post(EngineEvent news) => _inputs.Writer.TryWrite(new Input(news, null));

    private async Task RunAsync(CancellationToken stop)
    {
        using var subscription = _effects.Subscribe(p => Post(new EngineEvent.ProcessChanged(p, null)));
        await foreach (var input in _inputs.Reader.ReadAllAsync(stop).ConfigureAwait(false))
        {
            if (input.Waiter is { } waiter)
            {
                _waiters.Add(waiter);
            }
            else
            {
                Take(input.News!);
            }

            foreach (var met in _waiters.FindAll(w => w.Condition(_state)))
            {
                _waiters.Remove(met);
                met.Done.TrySetResult();
            }
        }
    }

    private void Take(EngineEvent news)
    {
        if (news is EngineEvent.ProcessChanged { Process.State: ProcessState.Backoff or ProcessState.Failed } trouble)
        {
            news = trouble with { LastWords = _effects.LastWords() };
        }

        var (next, effects) = _machine.Step(_state, news);
        if (next != _state)
        {
            if (next.GetType() != _state.GetType())
            {
                LogChange(_logger, Name, next.GetType().Name, Why(next));
            }

            _state = next;
            _publish(next);
        }

        _work.RemoveAll(t => t.IsCompleted);
        foreach (var effect in effects)
        {
            _work.Add(effect is EngineEffect.Remove ? RemoveAsync([.. _work]) : DoAsync(effect));
        }
    }

    private async Task DoAsync(EngineEffect effect)
    {
        var scope = _scope.Token;
        await Task.Yield();
        try
        {
            await PerformAsync(effect, scope).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (scope.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            LogEffectFailed(_logger, e, Name, effect.GetType().Name);
            Post(effect switch
            {
                EngineEffect.Prepare => new EngineEvent.PrepareFailed(e.Message, Transient: false),
                EngineEffect.Probe probe => new EngineEvent.Probed(probe.Run, e.Message),
                _ => new EngineEvent.LaunchFailed(e.Message),
            });
        }
    }

    private async Task PerformAsync(EngineEffect effect, CancellationToken scope)
    {
        switch (effect)
        {
            case EngineEffect.Prepare:
                await PrepareAsync(scope).ConfigureAwait(false);
                break;
            case EngineEffect.Retry retry:
                await Task.Delay(retry.After, _time, scope).ConfigureAwait(false);
                Post(new EngineEvent.RetryDue());
                break;
            case EngineEffect.Launch launch:
                await LaunchAsync(launch.Engine, scope).ConfigureAwait(false);
                break;
            case EngineEffect.MoveToAnotherPort move:
                await LaunchAsync(move.Run.Prepared, scope).ConfigureAwait(false);
                break;
            case EngineEffect.CheckPort check when _effects.IsPortTaken(check.Run.Port):
                Post(new EngineEvent.PortTaken(check.Run));
                break;
            case EngineEffect.WatchLoading watch:
                await WatchLoadingAsync(watch.Run, scope).ConfigureAwait(false);
                break;
            case EngineEffect.AskFacts ask:
                Post(new EngineEvent.FactsLearned(ask.Run, await _effects.AskFactsAsync(ask.Run, scope).ConfigureAwait(false)));
                break;
            case EngineEffect.Probe probe:
                await Task.Delay(probe.After, _time, scope).ConfigureAwait(false);
                Post(new EngineEvent.Probed(probe.Run, await _effects.ProbeAsync(probe.Run, scope).ConfigureAwait(false)));
                break;
        }
    }

    private async Task PrepareAsync(CancellationToken scope)
    {
        try
        {
            var progress = new ProgressPost(this);
            Post(new EngineEvent.Prepared(await _effects.PrepareAsync(progress, scope).ConfigureAwait(false)));
        }
        catch (ProvisionException e)
        {
            Post(new EngineEvent.PrepareFailed(e.Message, e.Transient, e.Exit));
        }
    }

    private async Task LaunchAsync(PreparedEngine prepared, CancellationToken scope)
    {
        await _effects.RemoveProcessAsync(scope).ConfigureAwait(false);
        _watchedSpawn = 0;
        var run = new EngineRun(prepared, _effects.TakePort(), 0);
        Post(new EngineEvent.Launching(run)); // before the supervisor's first word about it
        await _effects.AddProcessAsync(run, scope).ConfigureAwait(false);
    }

    private async Task WatchLoadingAsync(EngineRun run, CancellationToken scope)
    {
        if (Interlocked.Exchange(ref _watchedSpawn, run.Spawn) == run.Spawn)
        {
            return;
        }

        while (_state is EngineState.Starting now && now.Run.Spawn == run.Spawn)
        {
            if (await _effects.AskLoadPercentAsync(run, scope).ConfigureAwait(false) is { } percent)
            {
                Post(new EngineEvent.Loading(run, percent));
            }

            await Task.Delay(TimeSpan.FromSeconds(1), _time, scope).ConfigureAwait(false);
        }
    }

    private async Task RemoveAsync(Task[] underWay)
    {
        var old = _scope;
        _scope = new CancellationTokenSource();
        await old.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(underWay).ConfigureAwait(false); // or a launch under way would add its process after the removal
        string? trouble = null;
        try
        {
            await _effects.RemoveProcessAsync(CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception e)
        {
            trouble = e.Message;
            LogEffectFailed(_logger, e, Name, nameof(EngineEffect.Remove));
        }

        _effects.ReleasePort();
        old.Dispose();
        Post(new EngineEvent.Gone(trouble));
    }

    private static string Why(EngineState state) => state switch
    {
        EngineState.Unready u => u.Reason,
        EngineState.Failed f => f.Reason,
        EngineState.Stopped s => s.Reason ?? "",
        _ => "",
    };

    [LoggerMessage(EventId = 300, Level = LogLevel.Information, Message = "engine {Replica}: {State} {Reason}")]
    private static partial void LogChange(ILogger logger, string replica, string state, string reason);

    [LoggerMessage(EventId = 301, Level = LogLevel.Error, Message = "engine {Replica}: {Effect} failed")]
    private static partial void LogEffectFailed(ILogger logger, Exception error, string replica, string effect);

    private sealed record Input(EngineEvent? News, Waiter? Waiter);

    private sealed record Waiter(Func<EngineState, bool> Condition, TaskCompletionSource Done);

    // Not Progress<T>: that one hops over the thread pool and may deliver out of order.
    private sealed class ProgressPost(EngineLoop loop) : IProgress<ProvisionProgress>
    {
        public void Report(ProvisionProgress value) => loop.Post(new EngineEvent.Progress(value.Pct, value.Human));
    }
}
