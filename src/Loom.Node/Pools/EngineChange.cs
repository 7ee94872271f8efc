using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Node.Pools;

/// <summary>The moves reload, swap and preload are made of. Each leaves the replica in a state that can be told to the world.</summary>
internal sealed partial class EngineChange(PoolOwner pool, OperationLog log, CancellationToken stop)
{
    private static readonly TimeSpan s_memoryReturns = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan s_memoryEvery = TimeSpan.FromMilliseconds(100);

    /// <summary>Makes a new engine for a replica and brings it up; on trouble it stays as the incoming one, to be given up.</summary>
    public Task<StartOutcome> BringUpAsync(int member, PoolPlan plan, PreparedEngine? prepared, bool warm) =>
        StartAsync(member, pool.Join(member, plan, prepared), warm);

    /// <summary>Starts an engine of a replica, waits until it answers, and has it make a token.</summary>
    public async Task<StartOutcome> StartAsync(int member, int key, bool warm)
    {
        var replica = pool.State.Members[member].Id.ReplicaName;
        var step = $"start:{replica}";
        log.Running(step, StepKinds.Warmup, "starting the engine");
        var outcome = await pool.StartAsync(key, state => Show(step, state), stop).ConfigureAwait(false);
        if (outcome.Trouble is { } trouble)
        {
            log.Failed(step, StepKinds.Warmup, trouble);
            return outcome;
        }

        log.Done(step, StepKinds.Warmup, "its health check answers");
        return warm ? await WarmAsync(replica, SeatOf(member, key).Plan, outcome).ConfigureAwait(false) : outcome;
    }

    /// <summary>Stops and forgets the engine that was to take a replica over.</summary>
    public async Task GiveUpIncomingAsync(int member)
    {
        if (pool.State.Members[member].Incoming is { } coming)
        {
            pool.Tell(new PoolEvent.Left(member));
            await pool.RetireAsync(coming.Key).ConfigureAwait(false);
        }
    }

    /// <summary>Has a replica take no work until another engine serves in its place. From now on it is the new model that requests may wait for.</summary>
    /// <param name="member">The replica.</param>
    /// <param name="plan">What the other engine runs.</param>
    /// <param name="prepared">What provisioning found a moment ago, for its first start; null = it is asked.</param>
    /// <returns>Key of the new engine.</returns>
    public int Lower(int member, PoolPlan plan, PreparedEngine? prepared = null)
    {
        var key = pool.Join(member, plan, prepared);
        pool.Tell(new PoolEvent.ModeSet(member, MemberMode.Down));
        return key;
    }

    /// <summary>Gives the new engine of a replica up that was lowered or had one beside it; the old one serves on.</summary>
    public async Task RaiseAsync(int member)
    {
        pool.Tell(new PoolEvent.ModeSet(member, MemberMode.Serving));
        await GiveUpIncomingAsync(member).ConfigureAwait(false);
    }

    /// <summary>
    /// Stops the engine of a lowered replica, which stays restartable, and has the new one take over. On trouble the replica is still down:
    /// <see cref="RestoreAsync"/>.
    /// </summary>
    public async Task<StartOutcome> ReplaceAsync(int member, int key, bool warm)
    {
        await HaltAsync(pool.State.Members[member].Engine).ConfigureAwait(false);
        var outcome = await StartAsync(member, key, warm).ConfigureAwait(false);
        if (outcome.Trouble is null)
        {
            pool.Tell(new PoolEvent.Switched([member]));
        }

        return outcome;
    }

    /// <summary>Gives the new engine of a replica that is down up and starts the old one again.</summary>
    /// <returns>Null = it is as before; else why not, which the world is told, too.</returns>
    public async Task<string?> RestoreAsync(int member, Seat old)
    {
        if (pool.State.Members[member].Incoming is { } coming)
        {
            await HaltAsync(coming).ConfigureAwait(false);
        }

        await GiveUpIncomingAsync(member).ConfigureAwait(false);
        return await AgainAsync(member, old).ConfigureAwait(false);
    }

    /// <summary>Takes a replica that has the new engine back to the old one, which was kept.</summary>
    public async Task<string?> ReturnAsync(int member, Seat old, TimeSpan within)
    {
        var present = pool.State.Members[member];
        pool.Tell(new PoolEvent.ModeSet(member, MemberMode.Down));
        await EmptyAsync(present, within).ConfigureAwait(false);
        await HaltAsync(present.Engine).ConfigureAwait(false);
        pool.Tell(new PoolEvent.Joined(member, old));
        pool.Tell(new PoolEvent.Switched([member]));
        await pool.RetireAsync(present.Engine.Key).ConfigureAwait(false);
        return await AgainAsync(member, old).ConfigureAwait(false);
    }

    /// <summary>Waits until no request runs on the engine a replica had, at most so long, then ends those that still do.</summary>
    public async Task EmptyAsync(Member before, TimeSpan within)
    {
        if (before.Engine.State.CurrentRun is not { Port: > 0 } run)
        {
            return;
        }

        var step = $"drain:{before.Id.ReplicaName}";
        log.Running(step, StepKinds.Drain, "waiting for running requests");
        var url = EngineEffects.Root(run) + "v1";
        if (await QuietAsync(before.Id, url, within).ConfigureAwait(false))
        {
            log.Done(step, StepKinds.Drain, "no request runs on it");
            return;
        }

        stop.ThrowIfCancellationRequested();
        pool.Effects.Cut(before.Id, url);
        await QuietAsync(before.Id, url, TimeSpan.FromSeconds(1)).ConfigureAwait(false); // what was cut needs a moment to end
        log.Done(step, StepKinds.Drain, "the deadline has passed; requests that still ran were cancelled");
    }

    /// <summary>Whether no request runs at that url, or none does any more within that time.</summary>
    public async Task<bool> QuietAsync(ReplicaId replica, string url, TimeSpan within)
    {
        using var deadline = new CancellationTokenSource(within, pool.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, stop);
        try
        {
            return await pool.Effects.QuietAsync(replica, url, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (either.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>Stops an engine and waits until the GPUs have their memory back, at most ten seconds: the next one is judged and loaded by what is free.</summary>
    public async Task HaltAsync(Seat engine)
    {
        var before = await pool.Effects.FreeDeviceBytesAsync(engine.Plan, stop).ConfigureAwait(false);
        await pool.HaltAsync(engine.Key).ConfigureAwait(false);
        if (before is not { } free || engine.State.CurrentRun?.Prepared.Model is not { } model || engine.Plan.GpuLayers is not null)
        {
            return; // no GPU, or nobody can say how much of the model was on it
        }

        var began = pool.Time.GetTimestamp();
        while (await pool.Effects.FreeDeviceBytesAsync(engine.Plan, stop).ConfigureAwait(false) is { } now)
        {
            if (now >= free + (model.Bytes / 2))
            {
                pool.Measure(engine.Key, now - free, engine.State is EngineState.Ready ready ? ready.Run : null);
                return;
            }

            if (pool.Time.GetElapsedTime(began) >= s_memoryReturns)
            {
                LogMemoryHeld(pool.Logger, engine.Plan.Id, ByteSize.Text(now), ByteSize.Text(free + model.Bytes));
                return;
            }

            await Task.Delay(s_memoryEvery, pool.Time, stop).ConfigureAwait(false);
        }
    }

    private async Task<string?> AgainAsync(int member, Seat old)
    {
        pool.Tell(new PoolEvent.ModeSet(member, MemberMode.Down));
        var outcome = old.AtRest ? null : await StartAsync(member, old.Key, warm: false).ConfigureAwait(false);
        if (outcome?.Trouble is { } trouble)
        {
            pool.Tell(new PoolEvent.LostBoth(member, trouble));
        }

        pool.Tell(new PoolEvent.ModeSet(member, MemberMode.Serving));
        return outcome?.Trouble;
    }

    private async Task<StartOutcome> WarmAsync(string replica, PoolPlan plan, StartOutcome outcome)
    {
        var step = $"warm:{replica}";
        log.Running(step, StepKinds.Warmup, "making one token");
        var trouble = await pool.Effects.WarmAsync(plan, outcome.Run!, stop).ConfigureAwait(false);
        if (trouble is null)
        {
            log.Done(step, StepKinds.Warmup);
            return outcome;
        }

        log.Failed(step, StepKinds.Warmup, trouble);
        return new StartOutcome(null, trouble, null);
    }

    private Seat SeatOf(int member, int key)
    {
        var present = pool.State.Members[member];
        return present.Incoming is { } coming && coming.Key == key ? coming : present.Engine;
    }

    private void Show(string step, EngineState state)
    {
        switch (state)
        {
            case EngineState.Provisioning p:
                log.Running(step, StepKinds.Warmup, p.Phase ?? "checking engine and model", p.Percent);
                break;
            case EngineState.Starting s:
                log.Running(step, StepKinds.Warmup, "the engine loads", s.Percent);
                break;
        }
    }

    [LoggerMessage(EventId = 336, Level = LogLevel.Warning,
        Message = "pool {Pool}: 10 s after the engine ended {Free} of GPU memory are free, {Expected} were expected; the next engine starts all the same")]
    private static partial void LogMemoryHeld(ILogger logger, string pool, string free, string expected);
}
