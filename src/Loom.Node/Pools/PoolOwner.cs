using System.Collections.Concurrent;
using System.Collections.Immutable;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Pools;

/// <summary>
/// The single owner of one pool on this node: its state changes only here, one event after the other, and at most one operation is under way. Above it
/// stand the operations, below it one <see cref="EngineLoop"/> for each engine. Lifecycle: construct, <see cref="Start"/> once, <see cref="StopAsync"/>,
/// dispose.
/// </summary>
public sealed partial class PoolOwner : IAsyncDisposable
{
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<int, Engine> _engines = new();
    private readonly Action<ImmutableArray<ReplicaStatus>> _publish;
    private readonly CancellationTokenSource _stopping = new();
    private readonly string _nodeId;
    private PoolState _state;
    private Task _operation = Task.CompletedTask;
    private int _nextKey;

    /// <summary>Makes the pool, all of its engines at rest.</summary>
    /// <param name="plan">What it is to be.</param>
    /// <param name="nodeId">Node it is on.</param>
    /// <param name="effects">What it does to the world.</param>
    /// <param name="publish">Called in order with the replicas after each change; must return at once.</param>
    /// <param name="time">Clock.</param>
    /// <param name="logger">Where operations are told.</param>
    public PoolOwner(PoolPlan plan, string nodeId, IPoolEffects effects, Action<ImmutableArray<ReplicaStatus>> publish, TimeProvider time, ILogger logger)
    {
        _nodeId = nodeId;
        Effects = effects;
        Time = time;
        Logger = logger;
        _publish = publish;
        _state = PoolMachine.First(plan, nodeId);
        _nextKey = plan.Replicas;
        foreach (var member in _state.Members)
        {
            Make(member.Engine, new EngineOrder(plan, member.Id.ReplicaName));
        }
    }

    /// <summary>How the pool is now.</summary>
    public PoolState State
    {
        get
        {
            lock (_gate)
            {
                return _state;
            }
        }
    }

    /// <summary>Errors that ended the owner of an engine.</summary>
    public IEnumerable<Exception> Faults => _engines.Values.Select(e => e.Loop.Fault).OfType<Exception>();

    internal IPoolEffects Effects { get; }

    internal TimeProvider Time { get; }

    internal ILogger Logger { get; }

    /// <summary>Begins to bring the replicas up, unless the pool starts on demand; returns at once.</summary>
    public void Start()
    {
        var state = State;
        for (var i = 0; i < state.Members.Length; i++)
        {
            if (state.Plan.Preload)
            {
                _engines[state.Members[i].Engine.Key].Loop.Start();
            }
            else
            {
                Tell(new PoolEvent.Rested(i, "not loaded at start (preload = false); starts on demand"));
            }
        }
    }

    /// <summary>Starts one replica that rests.</summary>
    /// <returns>False when there is none of that name.</returns>
    public bool StartReplica(ReplicaId replica)
    {
        if (State.Members.FirstOrDefault(m => m.Id == replica) is not { } member)
        {
            return false;
        }

        _engines[member.Engine.Key].Loop.Start();
        return true;
    }

    /// <summary>Tells that a request to a replica failed, so that it is probed at once. Never blocks.</summary>
    public void ReportFault(ReplicaId replica, string reason)
    {
        if (State.Members.FirstOrDefault(m => m.Id == replica) is { } member && _engines.TryGetValue(member.Engine.Key, out var engine))
        {
            engine.Loop.ReportFault(reason);
        }
    }

    /// <summary>Runs one operation to its end.</summary>
    /// <param name="word">What it is called.</param>
    /// <param name="progress">Told of each change.</param>
    /// <param name="body">The operation; its token is cancelled when the node stops.</param>
    /// <param name="cancellationToken">Ends the wait, not the work.</param>
    /// <returns>The ended operation.</returns>
    /// <exception cref="OperationConflictException">Another one is under way, or the pool is busy and the operation was told not to wait.</exception>
    internal async Task<OperationStatus> RunAsync(string word, Action<OperationStatus> progress, Func<OperationLog, CancellationToken, Task<OperationEnd>> body,
        CancellationToken cancellationToken)
    {
        await UnloadedAsync(word, cancellationToken).ConfigureAwait(false);
        var log = new OperationLog(word, State.Plan.Id, _nodeId, progress);
        Task<OperationStatus> work;
        lock (_gate)
        {
            var before = _state;
            Tell(new PoolEvent.Asked(word));
            if (ReferenceEquals(before, _state))
            {
                throw new OperationConflictException(
                    $"pool '{_state.Plan.Id}' on node '{_nodeId}' is busy with a {_state.Operation}; one operation a pool at a time, ask again when it has ended");
            }

            _operation = work = DoAsync(log, body);
        }

        return await work.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends what is under way and stops every engine; returns when no process of the pool is left.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _operation.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(_engines.Keys.Select(HaltAsync)).WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync().ConfigureAwait(false);
        await _operation.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(_engines.Values.Select(e => e.Loop.DisposeAsync().AsTask())).ConfigureAwait(false);
        _stopping.Dispose();
    }

    /// <summary>Takes an event and tells the world what the pool is now.</summary>
    internal void Tell(PoolEvent news)
    {
        lock (_gate) // also around the publication: the last word told must be the last word true
        {
            var next = PoolMachine.Step(_state, news, Time.GetUtcNow().ToUnixTimeMilliseconds());
            if (!ReferenceEquals(next, _state))
            {
                _state = next;
                _publish(PoolMachine.View(next));
            }
        }
    }

    /// <summary>Makes an engine that is to take a replica over.</summary>
    /// <returns>Its key.</returns>
    internal int Join(int member, PoolPlan plan, PreparedEngine? prepared)
    {
        var present = State.Members[member];
        var seat = new Seat(Interlocked.Increment(ref _nextKey), plan, new EngineState.Stopped(null));
        var second = !_engines[present.Engine.Key].Second;
        Tell(new PoolEvent.Joined(member, seat));
        Make(seat, new EngineOrder(plan, present.Id.ReplicaName) { Second = second, Prepared = prepared });
        return seat.Key;
    }

    /// <summary>Starts an engine and waits until it answers or is in trouble.</summary>
    internal async Task<StartOutcome> StartAsync(int key, Action<EngineState> watch, CancellationToken cancellationToken)
    {
        EngineState end = new EngineState.Stopped(null);
        var loop = _engines[key].Loop;
        loop.Start();
        await loop.WhenAsync(state =>
        {
            watch(end = state);
            // An engine that went down because another program took its port is only being moved to the next one.
            return state is EngineState.Ready or EngineState.Failed or EngineState.Stopped
                || (state is EngineState.Unready trouble && !Effects.IsPortTaken(trouble.Run.Port));
        }, cancellationToken).ConfigureAwait(false);
        return end switch
        {
            EngineState.Ready ready => new StartOutcome(ready.Run, null, null),
            EngineState.Failed failed => new StartOutcome(null, failed.Reason, failed.Exit),
            EngineState.Unready unready => new StartOutcome(null, unready.Reason, null),
            EngineState.Stopped stopped => new StartOutcome(null, stopped.Reason ?? "it was stopped", null),
            _ => new StartOutcome(null, "it did not become ready", null),
        };
    }

    /// <summary>Stops an engine; it can be started again.</summary>
    internal async Task HaltAsync(int key)
    {
        Measure(key, null);
        await _engines[key].Loop.StopAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Remembers what an engine that answers takes.</summary>
    /// <param name="key">The engine.</param>
    /// <param name="deviceBytes">What it was seen to have on GPUs; null = not known.</param>
    /// <param name="answering">Its run, where it answers no more; null = the present one.</param>
    internal void Measure(int key, long? deviceBytes, EngineRun? answering = null)
    {
        foreach (var member in State.Members)
        {
            if (member.Engine.Key == key && (answering ?? (member.Engine.State as EngineState.Ready)?.Run) is { } run && _engines.TryGetValue(key, out var engine))
            {
                Effects.Measure(new EngineOrder(member.Engine.Plan, member.Id.ReplicaName) { Second = engine.Second }, run, deviceBytes);
            }
        }
    }

    /// <summary>Stops an engine and forgets it.</summary>
    internal async Task RetireAsync(int key)
    {
        if (_engines.TryGetValue(key, out var engine))
        {
            await engine.Loop.DisposeAsync().ConfigureAwait(false);
            _engines.TryRemove(key, out _);
        }
    }

    private void Make(Seat seat, EngineOrder order) =>
        _engines[seat.Key] = new Engine(Effects.Engine(order, state => Tell(new PoolEvent.EngineTold(seat.Key, state))), order.Second);

    private async Task<OperationStatus> DoAsync(OperationLog log, Func<OperationLog, CancellationToken, Task<OperationEnd>> body)
    {
        await Task.Yield();
        OperationEnd end;
        try
        {
            end = await body(log, _stopping.Token).ConfigureAwait(false);
        }
        catch (OperationConflictException)
        {
            Tell(new PoolEvent.Ended());
            throw;
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            end = OperationEnd.Failed("the node is stopping");
        }
        catch (ProvisionException e)
        {
            end = OperationEnd.Failed(e.Message);
        }
        catch (Exception e)
        {
            LogBroken(Logger, e, log.Kind, State.Plan.Id);
            end = OperationEnd.Failed($"{log.Kind} of pool '{State.Plan.Id}' broke: {e.Message}");
        }

        Tell(new PoolEvent.Ended());
        LogEnd(Logger, log.Kind, State.Plan.Id, end.State, end.Error ?? "");
        return log.End(end.State, end.Error);
    }

    // An unload for idleness is short and nobody's command: a command waits for it instead of being refused.
    private async Task UnloadedAsync(string word, CancellationToken cancellationToken)
    {
        Task unloading;
        lock (_gate)
        {
            unloading = word != IdleUnload.Word && _state.Operation == IdleUnload.Word ? _operation : Task.CompletedTask;
        }

        await unloading.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    [LoggerMessage(EventId = 330, Level = LogLevel.Information, Message = "{Operation} of pool {Pool}: {End} {Error}")]
    private static partial void LogEnd(ILogger logger, string operation, string pool, OperationState end, string error);

    [LoggerMessage(EventId = 331, Level = LogLevel.Error, Message = "{Operation} of pool {Pool} broke")]
    private static partial void LogBroken(ILogger logger, Exception error, string operation, string pool);

    private sealed record Engine(EngineLoop Loop, bool Second);
}

/// <summary>How an operation ended.</summary>
internal sealed record OperationEnd(OperationState State, string? Error)
{
    public static OperationEnd Succeeded { get; } = new(OperationState.Succeeded, null);

    public static OperationEnd Failed(string error) => new(OperationState.Failed, error);

    public static OperationEnd RolledBack(string error) => new(OperationState.RolledBack, error);
}

/// <summary>How a start ended.</summary>
/// <param name="Run">The run that answers; null = none does.</param>
/// <param name="Trouble">Why not.</param>
/// <param name="Exit">The kind of trouble, where provisioning had it.</param>
internal sealed record StartOutcome(EngineRun? Run, string? Trouble, ProvisionExit? Exit)
{
    public bool Fits => Exit != ProvisionExit.DoesNotFit;
}
