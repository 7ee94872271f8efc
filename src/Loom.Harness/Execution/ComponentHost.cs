using System.Runtime.ExceptionServices;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Control;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Execution;

/// <summary>How a component ended.</summary>
internal enum HostEnd
{
    /// <summary>Its data ended, or it drained.</summary>
    Finished,

    /// <summary>The run was cancelled.</summary>
    Cancelled,

    /// <summary>It threw more often than its restarts allow, and the system goes on without it.</summary>
    Isolated,

    /// <summary>It threw more often than its restarts allow.</summary>
    Failed,
}

/// <summary>What all components of a run share.</summary>
internal sealed record RunSurroundings(SystemPlan Plan, TimeProvider Time, ILogger Log, LifecycleTimes Times, Func<ComponentPlan, Component> Create, PathGuard Paths)
{
    /// <summary>Whether checkpoints are taken and a source reads again from them: only then is staging output worth its delay.</summary>
    public bool CanReplay { get; init; }

    /// <summary>Samples metrics and looks at alerts every second while it runs.</summary>
    public required Telemetry.SystemMonitor Monitor { get; init; }

    /// <summary>Runs one thing at a time; null: on the pool.</summary>
    public Scheduling.DeterministicScheduler? Scheduler { get; init; }
}

/// <summary>
/// Owns one component through setup, process and cleanup, and sets up a new instance when the process phase throws: same streams, state from memory,
/// events in hand delivered again.
/// </summary>
internal sealed partial class ComponentHost(ComponentPlan plan, LoopContext loop, RunSurroundings run) : IComponentRunner
{
    private readonly Queue<long> _restarts = [];
    private volatile ComponentState _state = ComponentState.Created;

    // Null unless its setup has succeeded and its cleanup has not begun.
    private Component? _component;
    private OwnedResources _owned = new();

    // Between two instances: what the next one takes over.
    private bool _handingOver;
    private byte[]? _memory;

    // Its loop waits for work for the first time.
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);

    // A loop of the harness gives its last state itself.
    private bool _tellsItsEnd;

    public ComponentPlan Plan => plan;

    public LoopContext Loop => loop;

    /// <summary>Completes once whoever sends it a request is not sent away because it does not run yet; for a component that takes none, at once.</summary>
    public Task Opened => _component is IEntrance ? _begun.Task : Task.CompletedTask;

    /// <summary>Paused is told by the switch, which also knows why.</summary>
    public ComponentState State => _state == ComponentState.Running && loop.Pause.Reason is not null ? ComponentState.Paused : _state;

    /// <summary>Why it failed or is being set up again; null when it is well.</summary>
    public Exception? LastFailure { get; private set; }

    /// <summary>When it was last set up again, as a timestamp of the run's clock; null when never.</summary>
    public long? LastRestart { get; private set; }

    public int Restarts { get; private set; }

    /// <summary>What went wrong when the resources of a setup that failed were disposed.</summary>
    public IReadOnlyList<Exception> DisposalErrors { get; private set; } = [];

    /// <summary>Whether the run waits for it: controllers end when nothing else runs.</summary>
    public bool IsData => plan.Type != ComponentType.Controller;

    /// <summary>Makes the component and opens what it needs; what it registered is disposed when that fails.</summary>
    public async Task SetupAsync(CancellationToken ct)
    {
        var owned = _owned = new OwnedResources();
        try
        {
            Component? made = null;
            await WithinAsync(
                async token =>
                {
                    var component = run.Create(loop.Controls.Options == plan.Options ? plan : plan with { Options = loop.Controls.Options });
                    token.ThrowIfCancellationRequested();
                    await component.SetupAsync(new HostSetupContext(this, run, owned), token).ConfigureAwait(true);
                    loop.Reconfigure = stop => component.ReconfigureAsync(loop.Controls.Options!, stop);
                    made = component;
                },
                run.Times.Setup,
                $"setup of \"{plan.Name}\"",
                ct).ConfigureAwait(true);
            _component = made;
            _state = ComponentState.Initialized;
        }
        catch (Exception e)
        {
            LastFailure = e;
            _state = ComponentState.Failed;
            DisposalErrors = await DisposeOwnedAsync(run.Times.Cleanup).ConfigureAwait(true);
            throw;
        }
    }

    /// <summary>Takes over what a checkpoint holds.</summary>
    public async Task RestoreAsync(IReadOnlyDictionary<string, long> offsets, RestoredState? state, CancellationToken ct)
    {
        foreach (var (partition, next) in offsets)
        {
            loop.Offsets[partition] = next;
        }

        await WithinAsync(
            async token =>
            {
                if (state is not null)
                {
                    await _component!.RestoreAsync(state, token).ConfigureAwait(true);
                }

                if (offsets.Count > 0 && _component is ISeekable seekable)
                {
                    await seekable.SeekAsync(offsets, token).ConfigureAwait(true);
                }
            },
            run.Times.Setup,
            $"restore of \"{plan.Name}\"",
            ct).ConfigureAwait(true);
    }

    /// <summary>The process phase, with its restarts. Completes its outputs unless the run was cancelled.</summary>
    public async Task<HostEnd> ProcessAsync(CancellationToken ct)
    {
        while (true)
        {
            try
            {
                _state = ComponentState.Running;
                using var context = new HostProcessContext(this, run, _component!);
                var processing = _component!.ProcessAsync(context, ct);
                _begun.TrySetResult();
                await processing.ConfigureAwait(true);
                if (!_tellsItsEnd)
                {
                    loop.Checkpoints.Ended(plan.Name, loop.Offsets, await _component.SnapshotAsync(ct).ConfigureAwait(true));
                }

                _state = ComponentState.Stopping;
                loop.FinishOwn();
                loop.Injections.Close();
                loop.CompleteOutputs();
                return HostEnd.Finished;
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                _state = ComponentState.Stopping;
                loop.Injections.Close();
                return HostEnd.Cancelled;
            }
            catch (Exception e)
            {
                LastFailure = e;
                LogThrew(run.Log, plan.Name, e);
                if (plan.Descriptor.ExecutesChain)
                {
                    loop.Counters.CountLost();
                }

                if (e is Commands.ComponentFailedException || !await TryRestartAsync(ct).ConfigureAwait(true))
                {
                    _state = ct.IsCancellationRequested ? ComponentState.Stopping : ComponentState.Failed;
                    if (!ct.IsCancellationRequested && plan.Restart.OnExhausted == OnExhausted.Isolate)
                    {
                        return await IsolateAsync(ct).ConfigureAwait(true);
                    }

                    loop.Injections.Close();
                    return ct.IsCancellationRequested ? HostEnd.Cancelled : HostEnd.Failed;
                }
            }
        }
    }

    /// <summary>Closes what the component holds: its cleanup, then what it registered, each within the time given.</summary>
    /// <exception cref="AggregateException">More than one of them failed.</exception>
    public async Task CleanupAsync(TimeSpan most)
    {
        var errors = new List<Exception>();
        if (Interlocked.Exchange(ref _component, null) is { } component)
        {
            try
            {
                await WithinAsync(
                    token => component.CleanupAsync(new CleanupContext(LastFailure), token).AsTask(), most, $"cleanup of \"{plan.Name}\"", CancellationToken.None).ConfigureAwait(true);
            }
            catch (Exception e)
            {
                errors.Add(e);
            }
        }

        errors.AddRange(await DisposeOwnedAsync(most).ConfigureAwait(true));
        _state = _state == ComponentState.Failed ? ComponentState.Failed : ComponentState.Stopped;
        switch (errors)
        {
            case [var one]:
                ExceptionDispatchInfo.Throw(one);
                break;
            case [_, _, ..]:
                throw new AggregateException($"cleanup of \"{plan.Name}\" failed", errors);
        }
    }

    /// <summary>For a sink: what it staged becomes visible, after its loop has ended.</summary>
    public ValueTask CommitAsync(CancellationToken ct) => (_component as ICommits)?.CommitAsync(ct) ?? default;

    Task IComponentRunner.RunAsync<T>(Source<T> source, CancellationToken ct)
    {
        var sourceLoop = new SourceLoop<T>(loop, loop.Controls.Rate.IsWanted ? new PacedSource<T>(source, loop.Controls.Rate, run.Time) : source);
        _tellsItsEnd = true;
        return sourceLoop.RunAsync(ct);
    }

    async Task IComponentRunner.RunAsync<TIn, TOut>(ItemComponent<TIn, TOut> component, CancellationToken ct)
    {
        _tellsItsEnd = true;
        using LoopBase<TIn, TOut> itemLoop = plan switch
        {
            { Batching: { } batching } => new BatchLoop<TIn, TOut>(loop, component, batching),
            _ when loop.Lane is not null => new ItemLoop<TIn, TOut>(loop, component), // one thing at a time
            _ when component is IPipelined { InFlight: > 1 } => new ConcurrentLoop<TIn, TOut>(loop, component),
            { Concurrency: > 1 } => new ConcurrentLoop<TIn, TOut>(loop, component),
            _ => new ItemLoop<TIn, TOut>(loop, component),
        };
        await itemLoop.RunAsync(ct).ConfigureAwait(true);
    }

    private async Task<bool> TryRestartAsync(CancellationToken ct)
    {
        var now = run.Time.GetTimestamp();
        while (_restarts.TryPeek(out var oldest) && run.Time.GetElapsedTime(oldest, now) > plan.Restart.Within)
        {
            _restarts.Dequeue();
        }

        if (_restarts.Count >= plan.Restart.Attempts)
        {
            return false;
        }

        _restarts.Enqueue(now);
        _state = ComponentState.Restarting;
        var delay = plan.Restart.Backoff * Math.Pow(2, _restarts.Count - 1);
        try
        {
            await Task.Delay(delay > LifecycleTimes.LongestRestart ? LifecycleTimes.LongestRestart : delay, run.Time, ct).ConfigureAwait(true);
            await ReplaceAsync(ct).ConfigureAwait(true);
            Restarts++;
            LastRestart = run.Time.GetTimestamp();
            return true;
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            return false;
        }
        catch (Exception e)
        {
            LastFailure = e;
            LogThrew(run.Log, plan.Name, e);
            return await TryRestartAsync(ct).ConfigureAwait(true);
        }
    }

    // The state of the instance that failed is taken over from memory, and kept until an instance has taken it: setup and restore can fail too.
    private async Task ReplaceAsync(CancellationToken ct)
    {
        if (!_handingOver)
        {
            _memory = await MemoryOfAsync(_component!, ct).ConfigureAwait(true);
            await loop.RedeliverAsync(LastFailure!, ct).ConfigureAwait(true);
            _handingOver = true;
        }

        try
        {
            await CleanupAsync(run.Times.Cleanup).ConfigureAwait(true);
        }
        catch (Exception e)
        {
            LogCleanup(run.Log, plan.Name, e);
        }

        await SetupAsync(ct).ConfigureAwait(true);
        var state = _memory is { } memory ? new RestoredState(plan.Descriptor.StateVersion, new MemoryStream(memory, writable: false)) : null;
        await RestoreAsync(new Dictionary<string, long>(loop.Offsets, StringComparer.Ordinal), state, ct).ConfigureAwait(true);
        _memory = null;
        _handingOver = false;
    }

    private async Task<byte[]?> MemoryOfAsync(Component component, CancellationToken ct)
    {
        if (plan.Descriptor.StateVersion == 0)
        {
            return null;
        }

        byte[]? memory = null;
        await WithinAsync(
            async token =>
            {
                if (await component.SnapshotAsync(token).ConfigureAwait(true) is { } write)
                {
                    var into = new MemoryStream();
                    await write(into, token).ConfigureAwait(true);
                    memory = into.ToArray();
                }
            },
            run.Times.Setup,
            $"state of \"{plan.Name}\"",
            ct).ConfigureAwait(true);
        return memory;
    }

    // Downstream ends as if this component had; what still arrives goes to its error destination, which may be an output of its own. Its state as of now stands for it in checkpoints.
    private async Task<HostEnd> IsolateAsync(CancellationToken ct)
    {
        loop.CompleteOutputs(but: SemanticClass.ErrorOut);
        try
        {
            Exception? unknown = null;
            try
            {
                _memory = _handingOver ? _memory : await MemoryOfAsync(_component!, ct).ConfigureAwait(true);
            }
            catch (Exception e) when (!ct.IsCancellationRequested)
            {
                unknown = e;
                LogStateless(run.Log, plan.Name, e);
            }

            await loop.DivertAsync(LastFailure!, _memory, unknown, ct).ConfigureAwait(true);
            loop.CompleteOutputs();
            return HostEnd.Isolated;
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            _state = ComponentState.Stopping;
            return HostEnd.Cancelled;
        }
        catch (Exception e)
        {
            // What arrives cannot be kept: the system must not go on past it.
            LastFailure = e;
            LogThrew(run.Log, plan.Name, e);
            return HostEnd.Failed;
        }
    }

    private async Task WithinAsync(Func<CancellationToken, Task> work, TimeSpan most, string what, CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        using var limit = new CancellationTokenSource(most, run.Time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(ct, limit.Token);
        // Code that never gives its thread back must not hold the caller's; a thread of the component's own is held by its work alone.
        var token = both.Token;
        var running = SynchronizationContext.Current is null
            ? Task.Factory.StartNew(() => work(token), CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current).Unwrap()
            : work(token);
        try
        {
            await running.WaitAsync(token).ConfigureAwait(true);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new TimeoutException($"{what} took longer than {most.TotalSeconds:0.#} s");
        }
    }

    // What was opened is a part of cleanup: one that never closes holds nobody up either.
    private async Task<IReadOnlyList<Exception>> DisposeOwnedAsync(TimeSpan most)
    {
        var errors = new List<Exception>();
        try
        {
            await WithinAsync(_ => _owned.DisposeAsync(errors.Add), most, $"disposal of what \"{plan.Name}\" had opened", CancellationToken.None).ConfigureAwait(true);
            return errors;
        }
        catch (TimeoutException e)
        {
            return [e];
        }
    }

    [LoggerMessage(EventId = 4000, Level = LogLevel.Error, Message = "component {Component} threw")]
    private static partial void LogThrew(ILogger logger, string component, Exception error);

    [LoggerMessage(EventId = 4002, Level = LogLevel.Error, Message = "component {Component} was isolated and its state could not be taken; no checkpoint can be completed any more")]
    private static partial void LogStateless(ILogger logger, string component, Exception error);

    [LoggerMessage(EventId = 4001, Level = LogLevel.Warning, Message = "component {Component} could not be cleaned up")]
    private static partial void LogCleanup(ILogger logger, string component, Exception error);
}
