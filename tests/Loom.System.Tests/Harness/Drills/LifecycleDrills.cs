using System.Collections.Concurrent;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>The drill "throw and hang at each point" of section 17: the table of section 5 to the letter, in each position of a chain of five.</summary>
public sealed class LifecycleDrills
{
    private const int Items = 40;
    private const int BatchSize = 4;

    // Short only where the fault waits for its end: what a busy machine delays is no fault.
    private static LifecycleTimes TimesOf(Fault fault) => new()
    {
        Setup = fault is { Hangs: true, Point: FaultPoint.Constructor or FaultPoint.Setup or FaultPoint.Restore } ? TimeSpan.FromSeconds(5) : TimeSpan.FromSeconds(60),
        Drain = TimeSpan.FromMilliseconds(fault.Hangs ? 400 : 60_000),
        Cancel = TimeSpan.FromMilliseconds(fault.Hangs ? 1_500 : 60_000),
        Cleanup = fault is { Hangs: true, Point: FaultPoint.Cleanup } ? TimeSpan.FromSeconds(5) : TimeSpan.FromSeconds(60),
    };

    [Fact]
    public async Task ThrowAndHang_AtEachPointInEachPosition_Section5ToTheLetter()
    {
        int[] positions = Drill.Full ? [0, 1, 2, 3, 4] : [0, 2, 4];
        var cases = (
            from point in Enum.GetValues<FaultPoint>()
            from position in positions
            where position > 0 || point is not (FaultPoint.Batch or FaultPoint.Flush)
            from hangs in new[] { false, true }
            select (point, position, hangs)).ToList();
        var wrong = new ConcurrentQueue<string>();
        await Parallel.ForEachAsync(cases, new ParallelOptions { MaxDegreeOfParallelism = 12 }, async (c, _) =>
        {
            using var fault = new Fault(c.point, c.position, c.hangs);
            try
            {
                await ProveAsync(fault);
            }
            catch (Exception e)
            {
                wrong.Enqueue($"{fault}: {e.Message}");
            }
        });
        Drill.Report("throw and hang at each point", cases.Count - wrong.Count, cases.Count, "exit code, order of cleanup and account of section 5");
        wrong.ShouldBeEmpty();
    }

    private static async Task ProveAsync(Fault fault)
    {
        using var folder = new TempFolder();
        var around = new CodedSurroundings { Folder = folder.Path, State = CodedSurroundings.Adapter("sqlite_snapshot"), Times = TimesOf(fault), Interval = TimeSpan.FromMilliseconds(50) };
        if (fault.Point == FaultPoint.Restore)
        {
            using var none = new Fault(FaultPoint.Setup, -1, hangs: false);
            var before = new FaultyChain(none, Items);
            (await OnceAsync(before, around)).Result.ExitCode.ShouldBe(RunResult.Ended);
        }

        var chain = new FaultyChain(fault, Items);
        var (result, snapshot, dead) = await OnceAsync(chain, around);

        fault.HasStruck.ShouldBeTrue("the fault never struck");
        var (exit, ready) = Expected(fault);
        result.ExitCode.ShouldBe(exit, $"{result.Reason}: {string.Join("; ", result.Errors.Select(e => e.Message))}");
        if (exit != RunResult.Ended)
        {
            result.Errors.Count.ShouldBeGreaterThanOrEqualTo(result.ExitCode == RunResult.Failed ? 1 : 0);
        }

        // Cleanup: every instance that was set up, once each, in reverse order at the end.
        chain.Positions("cleanup").TakeLast(ready).ShouldBe(Enumerable.Range(0, ready).Reverse(), "order of cleanup");
        chain.Log.Where(l => l.What == "cleanup").Select(l => l.Instance).ShouldBe(chain.Log.Where(l => l.What == "ready").Select(l => l.Instance), ignoreOrder: true);
        chain.Log.Where(l => l.What == "disposed").Select(l => l.Instance).ShouldBe(chain.Log.Where(l => l.What == "setup").Select(l => l.Instance), ignoreOrder: true);

        var processed = fault.Point is not (FaultPoint.Constructor or FaultPoint.Setup or FaultPoint.Restore);
        (chain.Positions("process").Count > 0).ShouldBe(processed, "ProcessAsync ran");
        Account(chain, snapshot, dead, exit);
    }

    private static async Task<(RunResult Result, RunSnapshot Snapshot, int Dead)> OnceAsync(FaultyChain chain, CodedSurroundings around)
    {
        await using var run = await CodedRun.LoadAsync(chain.Build(chain.Fault.Point == FaultPoint.Batch), around);
        using var stop = new CancellationTokenSource();
        var running = run.RunAsync(stop.Token);
        if (chain.Fault.Point is FaultPoint.Snapshot or FaultPoint.Flush)
        {
            await Deadline.Until(() => running.IsCompleted || chain.Fault.HasStruck, $"{chain.Fault} strikes");
        }
        else
        {
            await Deadline.Until(() => running.IsCompleted || chain.Fault.HasStruck || run.Checkpoints.Taken > 0, "a checkpoint is taken");
        }

        chain.Half.TrySetResult();
        if (chain.Fault is { Hangs: true, Point: not (FaultPoint.Constructor or FaultPoint.Setup or FaultPoint.Restore or FaultPoint.Cleanup) })
        {
            await Deadline.Until(() => running.IsCompleted || chain.Fault.HasStruck, $"{chain.Fault} strikes");
            await stop.CancelAsync();
        }

        return (await running, RunSnapshot.Of(run.Assembly), run.Failures.Count);
    }

    // Exit code, and how many components are set up when it goes wrong.
    private static (int Exit, int Ready) Expected(Fault fault) => fault.Point switch
    {
        FaultPoint.Constructor or FaultPoint.Setup => (RunResult.Failed, fault.Position),
        FaultPoint.Restore or FaultPoint.Cleanup => (RunResult.Failed, FaultyChain.Length),
        _ => (fault.Hangs ? RunResult.Abandoned : RunResult.Ended, FaultyChain.Length),
    };

    private static void Account(FaultyChain chain, RunSnapshot snapshot, int dead, int exit)
    {
        foreach (var stream in snapshot.Streams)
        {
            stream.In.ShouldBe(stream.Out + stream.Depth);
        }

        var (read, delivered) = (snapshot.Components[0].Taken, snapshot.Components[^1].Done);
        var inFlight = snapshot.Components.Sum(c => c.InHand) + snapshot.Streams.Sum(s => s.Depth);
        snapshot.Components.Sum(c => c.Failed).ShouldBe(dead);
        read.ShouldBe(delivered + dead + inFlight);
        chain.Kept.ShouldBe(chain.Kept.Order().Distinct(), "once each and in order");
        if (exit == RunResult.Ended)
        {
            inFlight.ShouldBe(0);
            read.ShouldBe(Items);
            dead.ShouldBe(chain.Fault switch
            {
                { Position: 0 } => 0,
                { Point: FaultPoint.First or FaultPoint.Middle or FaultPoint.Last } => 1,
                { Point: FaultPoint.Batch } => BatchSize,
                _ => 0,
            });
        }
    }
}
