using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>The rows of section 5's table about the process phase, each as one run; <see cref="LifecycleEdges"/> are those of setup, cleanup and a second signal.</summary>
/// <param name="dedicated">Whether the component in the middle has a thread of its own.</param>
internal sealed class LifecycleRows(bool dedicated)
{
    internal static readonly LifecycleTimes s_short = new() { Drain = TimeSpan.FromMilliseconds(200), Cancel = TimeSpan.FromMilliseconds(500) };

    private int _read;

    /// <summary><c>ProcessAsync</c> returns: outputs complete, downstream drains, cleanup, 0.</summary>
    public async Task<WeakReference> ReturnsAsync()
    {
        var kept = new List<long>();
        var (run, result) = await RunAsync(Chain(10, static (_, _) => Task.CompletedTask, kept));
        result.ExitCode.ShouldBe(RunResult.Ended);
        kept.Count.ShouldBe(10);
        return run;
    }

    /// <summary>Throws, and is set up again each time: the event in hand comes three times, then it is a dead letter, and the rest goes on.</summary>
    public async Task<WeakReference> ThrowsOnOneEventAsync()
    {
        var (kept, attempts) = (new List<long>(), new List<int>());
        var (run, result) = await RunAsync(
            Chain(
                10,
                (e, _) =>
                {
                    if (e.Data == 4)
                    {
                        attempts.Add(e.Attempt);
                        throw new InvalidOperationException("no 4");
                    }

                    return Task.CompletedTask;
                },
                kept),
            look: r =>
            {
                r.Failures.Single().Attempt.ShouldBe(3);
                r.Assembly.Run.Hosts[1].Restarts.ShouldBe(3);
            });
        result.ExitCode.ShouldBe(RunResult.Ended);
        attempts.ShouldBe([1, 2, 3]);
        kept.ShouldBe([0, 1, 2, 3, 5, 6, 7, 8, 9]);
        return run;
    }

    /// <summary>Throws more often than its restarts allow: the system fails, 1.</summary>
    public async Task<WeakReference> ThrowsForGoodAsync()
    {
        var (run, result) = await RunAsync(
            Chain(10, static (e, _) => e.Data >= 4 ? throw new InvalidOperationException("none from 4 on") : Task.CompletedTask, []),
            look: r => RunSnapshot.Of(r.Assembly).Components[1].State.ShouldBe(ComponentState.Failed));
        result.ExitCode.ShouldBe(RunResult.Failed);
        result.Reason.ShouldContain("\"own\" failed: none from 4 on");
        return run;
    }

    /// <summary>The same where it is to be isolated: outputs complete, everything that arrives is a dead letter, 1.</summary>
    public async Task<WeakReference> ThrowsForGoodAndIsIsolatedAsync()
    {
        var kept = new List<long>();
        var (run, result) = await RunAsync(
            Chain(10, static (e, _) => e.Data >= 4 ? throw new InvalidOperationException("none from 4 on") : Task.CompletedTask, kept, OnExhausted.Isolate),
            look: r => r.Failures.Select(f => f.Id.ToString()).ShouldBe(Enumerable.Range(4, 6).Select(n => $"from:0:{n}")));
        result.ExitCode.ShouldBe(RunResult.Failed);
        result.Reason.ShouldContain("isolated");
        kept.ShouldBe([0, 1, 2, 3]);
        return run;
    }

    /// <summary>A stop: the sources end, the streams empty, cleanup, 0.</summary>
    public async Task<WeakReference> DrainsAsync()
    {
        var kept = new List<long>();
        using var stop = new CancellationTokenSource();
        var (run, result) = await RunAsync(
            Chain(int.MaxValue, (e, _) => e.Data == 3000 ? stop.CancelAsync() : Task.CompletedTask, kept),
            stop.Token,
            look: r => r.CountersOf("from").Taken.ShouldBe(kept.Count));
        result.ExitCode.ShouldBe(RunResult.Ended);
        result.Reason.ShouldBe("drained");
        kept.Count.ShouldBeGreaterThan(3000);
        return run;
    }

    /// <summary>The drain deadline passes: cancelled, what is left is counted per stream, no last checkpoint, 5.</summary>
    public async Task<WeakReference> DrainsTooLongAsync()
    {
        using var stop = new CancellationTokenSource();
        using var folder = new TempFolder();
        var (run, result) = await RunAsync(
            Chain(int.MaxValue, async (e, ct) =>
            {
                if (e.Data == 50)
                {
                    // More lie in the stream by then.
                    await Deadline.Until(() => Volatile.Read(ref _read) > 60, "events wait behind this one");
                    await stop.CancelAsync();
                    await Task.Delay(Timeout.InfiniteTimeSpan, ct);
                }
            }, []),
            stop.Token,
            around: new CodedSurroundings { Times = s_short with { Cancel = TimeSpan.FromSeconds(30) }, Folder = folder.Path, State = CodedSurroundings.Adapter("sqlite_snapshot") },
            look: r =>
            {
                r.Checkpoints.Taken.ShouldBe(0, "no checkpoint of work that was abandoned");
                var snapshot = RunSnapshot.Of(r.Assembly);
                snapshot.Components[0].Taken.ShouldBe(51 + snapshot.Streams[0].Depth, "every event is accounted for");
            });
        result.ExitCode.ShouldBe(RunResult.Abandoned);
        result.Left["from.out->own.in"].ShouldBeGreaterThan(0);
        result.Errors.ShouldBeEmpty();
        return run;
    }

    /// <summary>A component does not listen when it is cancelled: it is named, the cleanup of the others goes on, 5.</summary>
    public async Task<WeakReference> IgnoresCancellationAsync()
    {
        using var stop = new CancellationTokenSource();
        var never = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cleaned = new List<string>();
        var (run, result) = await RunAsync(
            Chain(
                100,
                async (e, _) =>
                {
                    await stop.CancelAsync();
                    await never.Task;
                },
                [],
                cleaned: cleaned),
            stop.Token,
            around: new CodedSurroundings { Times = s_short });
        result.ExitCode.ShouldBe(RunResult.Abandoned);
        result.Errors.Select(e => e.Message).ShouldContain(m => m.Contains("\"own\" goes on", StringComparison.Ordinal));
        cleaned.ShouldBe(["own", "from"]);
        never.SetResult();
        return run;
    }

    private HarnessBuilder Chain(
        int count, Func<Event<long>, CancellationToken, Task> handle, List<long> kept, OnExhausted exhausted = OnExhausted.FailSystem, List<string>? cleaned = null) =>
        new HarnessBuilder("rows")
            .Add("from", () => new From(count, () => Interlocked.Increment(ref _read), cleaned ?? []))
            .Add("own", () => new Own(handle, cleaned ?? []), p => p with { Restart = new RestartPlan { Backoff = TimeSpan.FromMilliseconds(1), OnExhausted = exhausted }, Dedicated = dedicated })
            .Add("into", () => new Into(kept))
            .Bind("from.out", "own.in")
            .Bind("own.out", "into.in");

    private static async Task<(WeakReference Run, RunResult Result)> RunAsync(
        HarnessBuilder builder, CancellationToken stop = default, CodedSurroundings? around = null, Action<CodedRun>? look = null)
    {
        await using var run = await CodedRun.LoadAsync(builder, around ?? new CodedSurroundings());
        var result = await run.RunAsync(stop);
        look?.Invoke(run);
        return (new WeakReference(run.Assembly), result);
    }

    [Component("rows.from", Type = ComponentType.Source, Replayable = true)]
    private sealed class From(int count, Action read, List<string> cleaned) : Source<long>
    {
        private int _next;

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            read();
            return new(_next < count ? Read<long>.Item(_next, _next, ++_next) : Read<long>.End);
        }

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
        {
            cleaned.Add("from");
            return default;
        }
    }

    [Component("rows.own", Type = ComponentType.Transformer)]
    [Input("in", typeof(long))]
    [Output("out", typeof(long))]
    private sealed class Own(Func<Event<long>, CancellationToken, Task> handle, List<string> cleaned) : Component
    {
        protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
        {
            var (input, output) = (ctx.In<long>(), ctx.Out<long>());
            while (await input.WaitToReadAsync(ct))
            {
                while (input.TryRead(out var e))
                {
                    await handle(e, ct);
                    await output.SendAsync(e, ct);
                }
            }
        }

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct)
        {
            cleaned.Add("own");
            return default;
        }
    }

    private sealed class Into(List<long> kept) : Sink<long>
    {
        protected override ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            kept.Add(e.Data);
            return default;
        }
    }
}
