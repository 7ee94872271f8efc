using Loom.Core.Loops;
using Loom.Harness.Checkpoints;
using Loom.Harness.Execution.Scheduling;
using Loom.Harness.Streams;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Execution;

/// <summary>What the run of a system is told from outside.</summary>
/// <param name="Stop">A soft stop: sources end, streams empty, then cleanup.</param>
/// <param name="Force">Cancel at once; cleanup gets two seconds in all.</param>
internal sealed record RunTokens(CancellationToken Stop, CancellationToken Force);

/// <summary>
/// One run of a system through setup, process and cleanup (section 5 of the specification). Single use. Setup goes in order of declaration; cleanup in exactly the
/// reverse, whatever failed, for everything that was set up.
/// </summary>
internal sealed partial class SystemRun(
    RunSurroundings surroundings, IReadOnlyList<ComponentHost> hosts, IReadOnlyList<IStreamEnd> streams, IReadOnlyList<IFeedbackStream> feedbacks, StateHome? state, CheckpointCoordinator checkpoints, CancellationTokenSource stopping)
{
    private static readonly TimeSpan s_forcedCleanup = TimeSpan.FromSeconds(2);

    private readonly List<Exception> _errors = [];
    private readonly List<ComponentHost> _ready = [];

    public IReadOnlyList<ComponentHost> Hosts => hosts;

    public IReadOnlyList<IStreamEnd> Streams => streams;

    /// <summary>Told once every component is set up and runs.</summary>
    public Action? Started { get; set; }

    public async Task<RunResult> RunAsync(RunTokens tokens)
    {
        var result = await StartAsync(tokens).ConfigureAwait(true) ?? await ProcessAsync(tokens).ConfigureAwait(true);
        await CleanupAsync(tokens.Force).ConfigureAwait(true);
        return _errors.Count > result.Errors.Count && result.ExitCode == RunResult.Ended
            ? result with { ExitCode = RunResult.Failed, Reason = "cleanup failed", Errors = [.. _errors] }
            : result with { Errors = [.. _errors] };
    }

    private async Task<RunResult?> StartAsync(RunTokens tokens)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(tokens.Stop, tokens.Force);
        foreach (var host in hosts)
        {
            try
            {
                await In(host, () => host.SetupAsync(either.Token)).ConfigureAwait(true);
                _ready.Add(host);
            }
            catch (OperationCanceledException) when (either.IsCancellationRequested)
            {
                return new RunResult(RunResult.Ended, "stopped during setup", [], NoneLeft);
            }
            catch (Exception e)
            {
                var failed = Fail($"setup of \"{host.Plan.Name}\" failed: {e.Message}", e);
                _errors.AddRange(host.DisposalErrors);
                return failed;
            }
        }

        if (state?.Resumed is not { } resumed)
        {
            return null;
        }

        foreach (var host in hosts)
        {
            try
            {
                var own = await resumed.StateOfAsync(host.Plan.Name, either.Token).ConfigureAwait(true);
                await In(host, async () =>
                {
                    await host.RestoreAsync(resumed.OffsetsOf(host.Plan.Name), own, either.Token).ConfigureAwait(true);
                    await host.CommitAsync(either.Token).ConfigureAwait(true);
                }).ConfigureAwait(true);
            }
            catch (Exception e)
            {
                return Fail($"\"{host.Plan.Name}\" could not take over checkpoint {resumed.Id}: {e.Message}", e);
            }
        }

        foreach (var feedback in feedbacks)
        {
            try
            {
                if (await resumed.StateOfAsync(feedback.PartName, either.Token).ConfigureAwait(false) is { } underWay)
                {
                    await feedback.RestoreAsync(underWay, either.Token).ConfigureAwait(false);
                }
            }
            catch (Exception e)
            {
                return Fail($"events under way in checkpoint {resumed.Id} could not be put back into {feedback.PartName}: {e.Message}", e);
            }
        }

        return null;
    }

    private async Task<RunResult> ProcessAsync(RunTokens tokens)
    {
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(tokens.Force);
        checkpoints.Watch(hosts, feedbacks);
        var running = hosts.ToDictionary(h => h, h => StartHost(h, cancel.Token));
        var loop = BackgroundLoop.Start("checkpoints", checkpoints.RunAsync, surroundings.Log);
        await using var monitor = StartMonitor().ConfigureAwait(true);
        if (surroundings.Scheduler is null)
        {
            // Ready means that the first request is taken.
            await Task.WhenAll(hosts.Select(h => Task.WhenAny(h.Opened, running[h]))).ConfigureAwait(true);
        }

        Started?.Invoke();
        RunResult result;
        try
        {
            result = await WatchAsync(running, tokens, cancel).ConfigureAwait(true);
        }
        finally
        {
            await loop.DisposeAsync().ConfigureAwait(true);
        }

        return result.ExitCode == RunResult.Ended ? await FinishAsync(result, tokens.Force).ConfigureAwait(true) : result;
    }

    // Under the deterministic scheduler each phase of a component runs in its lane.
    private static Task In(ComponentHost host, Func<Task> work) => host.Loop.Lane is { } lane ? Lane.WaitAsync(lane.RunAsync(work)) : work();

    // Under the deterministic scheduler only for controllers, which go by what it sees: every look moves the clock.
    private IAsyncDisposable StartMonitor() =>
        surroundings.Scheduler is not { } scheduler ? BackgroundLoop.Start("monitor", surroundings.Monitor.RunAsync, surroundings.Log)
        : new LaneLoop(scheduler.NewLane("monitor"), hosts.Any(h => !h.IsData) ? surroundings.Monitor.RunAsync : _ => Task.CompletedTask);

    // On a pool thread, or on one of its own.
    private Task<HostEnd> StartHost(ComponentHost host, CancellationToken ct) => host.Loop.Lane is { } lane
        ? lane.RunAsync(() => host.ProcessAsync(ct))
        : host.Plan.Dedicated
        ? DedicatedThread.Run(host.Plan.Name, () => host.ProcessAsync(ct))
        : Task.Run(() => host.ProcessAsync(ct), CancellationToken.None);

    private async Task<RunResult> WatchAsync(Dictionary<ComponentHost, Task<HostEnd>> running, RunTokens tokens, CancellationTokenSource cancel)
    {
        var ended = new HashSet<ComponentHost>();
        using var softStop = tokens.Stop.UnsafeRegister(static s => ((CancellationTokenSource)s!).Cancel(), stopping);
        using var drainOver = new CancellationTokenSource(Timeout.InfiniteTimeSpan, surroundings.Time);
        using var startDrain = tokens.Stop.UnsafeRegister(_ => drainOver.CancelAfter(surroundings.Times.Drain), null);
        using var anyStop = CancellationTokenSource.CreateLinkedTokenSource(drainOver.Token, tokens.Force);
        var stopped = Task.Delay(Timeout.InfiniteTimeSpan, surroundings.Time, anyStop.Token);
        while (running.Keys.Any(h => h.IsData && !ended.Contains(h)))
        {
            var open = running.Where(r => !ended.Contains(r.Key)).Select(r => r.Value);
            await Lane.WaitAsync(Task.WhenAny(open.Append(stopped))).ConfigureAwait(true);
            if (stopped.IsCompleted && !open.Any(t => t.IsCompleted))
            {
                return await AbandonAsync(running, cancel, tokens.Force.IsCancellationRequested ? "cancelled" : $"streams did not empty within {surroundings.Times.Drain.TotalSeconds:0.#} s").ConfigureAwait(true);
            }

            foreach (var (host, task) in running.Where(r => r.Value.IsCompleted && ended.Add(r.Key)))
            {
                var end = await task.ConfigureAwait(true);
                if (end == HostEnd.Cancelled && host.IsData)
                {
                    // It can be seen to have ended before the cancellation itself is seen; nothing of this end is orderly.
                    return await AbandonAsync(running, cancel, "cancelled").ConfigureAwait(true);
                }

                if (end == HostEnd.Failed)
                {
                    var why = $"\"{host.Plan.Name}\" failed: {host.LastFailure?.Message}";
                    _errors.Add(host.LastFailure!);
                    var abandoned = await AbandonAsync(running, cancel, why).ConfigureAwait(true);
                    return Fail(why, null) with { Left = abandoned.Left };
                }
            }
        }

        // Controllers have nothing left to control.
        await cancel.CancelAsync().ConfigureAwait(true);
        await Lane.WaitAsync(Task.WhenAll(running.Values)).ConfigureAwait(true);
        var isolated = running.Where(r => r.Value.Result == HostEnd.Isolated).Select(r => r.Key).ToList();
        foreach (var host in isolated)
        {
            _errors.Add(host.LastFailure!);
        }

        return isolated.Count > 0
            ? Fail($"{string.Join(", ", isolated.Select(h => h.Plan.Name))} failed and was isolated", null)
            : new RunResult(RunResult.Ended, tokens.Stop.IsCancellationRequested ? "drained" : "ended", [], NoneLeft);
    }

    private async Task<RunResult> AbandonAsync(Dictionary<ComponentHost, Task<HostEnd>> running, CancellationTokenSource cancel, string why)
    {
        await cancel.CancelAsync().ConfigureAwait(true);
        using (var limit = new CancellationTokenSource(surroundings.Times.Cancel, surroundings.Time))
        {
            await Lane.WaitAsync(Task.WhenAny(Task.WhenAll(running.Values), Task.Delay(Timeout.InfiniteTimeSpan, surroundings.Time, limit.Token))).ConfigureAwait(true);
        }

        foreach (var (host, task) in running)
        {
            if (!task.IsCompleted)
            {
                _errors.Add(new TimeoutException($"\"{host.Plan.Name}\" goes on although it was cancelled {surroundings.Times.Cancel.TotalSeconds:0.#} s ago"));
                LogIgnores(surroundings.Log, host.Plan.Name);
            }
        }

        var left = streams.Select(s => s.Snapshot()).Where(s => s.Depth > 0).ToDictionary(s => s.Name, s => s.Depth, StringComparer.Ordinal);
        return new RunResult(RunResult.Abandoned, why, [], left);
    }

    // Everything has been delivered: the last checkpoint, then the outside may let go and staged output becomes visible.
    private async Task<RunResult> FinishAsync(RunResult result, CancellationToken force)
    {
        if (hosts.Where(h => h.Loop.Counters.Lost > 0).ToList() is [var first, ..] losing)
        {
            // Nothing is stored and nobody is told: the next run begins before them.
            var lost = string.Join(", ", losing.Select(h => $"{h.Loop.Counters.Lost} {(h.Loop.Counters.Lost == 1 ? "event" : "events")} in hand of \"{h.Plan.Name}\""));
            return Fail($"{lost} did not come again after a restart", first.LastFailure);
        }

        using var late = new CancellationTokenSource(CheckpointTimes.Longest, surroundings.Time);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(late.Token, force);
        try
        {
            await checkpoints.TakeFinalAsync(limit.Token).WaitAsync(limit.Token).ConfigureAwait(true);

            foreach (var host in hosts)
            {
                await In(host, () => host.CommitAsync(limit.Token).AsTask()).WaitAsync(limit.Token).ConfigureAwait(true);
            }

            foreach (var host in hosts)
            {
                await In(host, () => host.Loop.Acknowledgements.TellAllAsync(limit.Token).AsTask()).WaitAsync(limit.Token).ConfigureAwait(true);
            }

            return result;
        }
        catch (Exception e)
        {
            return Fail($"the last checkpoint could not be completed; what was staged since the one before is not visible and comes again: {e.Message}", e);
        }
    }

    private async Task CleanupAsync(CancellationToken force)
    {
        var forcedAt = force.IsCancellationRequested ? surroundings.Time.GetTimestamp() : (long?)null;
        for (var i = _ready.Count - 1; i >= 0; i--)
        {
            var most = surroundings.Times.Cleanup;
            if (force.IsCancellationRequested)
            {
                forcedAt ??= surroundings.Time.GetTimestamp();
                var left = s_forcedCleanup - surroundings.Time.GetElapsedTime(forcedAt.Value);
                most = left > TimeSpan.Zero ? left : TimeSpan.FromMilliseconds(1);
            }

            try
            {
                var host = _ready[i];
                await In(host, () => host.CleanupAsync(most)).ConfigureAwait(true);
            }
            catch (Exception e)
            {
                _errors.Add(e);
            }
        }
    }

    private RunResult Fail(string why, Exception? error)
    {
        if (error is not null)
        {
            _errors.Add(error);
        }

        return new RunResult(RunResult.Failed, why, [.. _errors], NoneLeft);
    }

    private static readonly Dictionary<string, long> NoneLeft = [];

    [LoggerMessage(EventId = 4030, Level = LogLevel.Error, Message = "component {Component} ignores its cancellation")]
    private static partial void LogIgnores(ILogger logger, string component);
}
