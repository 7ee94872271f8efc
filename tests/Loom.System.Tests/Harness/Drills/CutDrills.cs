using System.Text.Json;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// A checkpoint taken at any moment of a diamond with state by key holds, for every component, exactly the state at its barrier: nothing of an event behind it, everything
/// of those before. Each cut ends its run as a crash would; where the adapter outlives it, the next run goes on from the cut.
/// </summary>
public sealed class CutDrills
{
    [Fact]
    public Task InMemory() => CutAsync("inmem_ephemeral", null);

    [Fact]
    public Task Sqlite() => CutAsync("sqlite_snapshot", null);

    [Fact]
    public async Task Redis()
    {
        await using var redis = await RedisServer.StartAsync();
        await CutAsync("redis_snapshot", redis.Url);
    }

    private static async Task CutAsync(string adapter, string? url)
    {
        using var folder = new TempFolder();
        var around = new CodedSurroundings
        {
            Folder = folder.Path, State = CodedSurroundings.Adapter(adapter, url), Times = new LifecycleTimes { Cancel = TimeSpan.FromSeconds(30) },
        };
        var seed = Environment.TickCount;
        var random = new Random(seed);
        var (cuts, inFlight, resumed) = (Drill.Count(40, 1000), 0, 0);
        var (done, offset) = (0, 0L);
        try
        {
            for (; done < cuts; done++)
            {
                var (next, wasInFlight, wentOn) = await OnceAsync(around, random, offset);
                inFlight += wasInFlight ? 1 : 0;
                resumed += wentOn ? 1 : 0;
                // States grow dear to compute; begin anew now and then.
                offset = adapter == "inmem_ephemeral" || next > 100_000 ? 0 : next;
            }
        }
        finally
        {
            Drill.Report($"random cuts of a diamond, {adapter}", done, cuts, $"{inFlight} with events in flight, {resumed} went on from the cut before; seed {seed}");
        }

        inFlight.ShouldBeGreaterThan(cuts / 10, "cuts with nothing in flight prove little");
    }

    private static string Text(SortedDictionary<string, long> state) => string.Join(' ', state.OrderBy(s => s.Key, StringComparer.Ordinal).Select(s => $"{s.Key}={s.Value}"));

    private static async Task<(long Offset, bool InFlight, bool Resumed)> OnceAsync(CodedSurroundings around, Random random, long from)
    {
        await using var run = await CodedRun.LoadAsync(Diamond.Build(random), around, fresh: from == 0);
        (run.State!.Resumed?.OffsetsOf("numbers")["0"] ?? 0).ShouldBe(from);
        using var crash = new CancellationTokenSource();
        var running = run.RunAsync(force: crash.Token);
        var target = random.Next(1, 3000);
        await Deadline.Until(() => running.IsCompleted || run.CountersOf("numbers").Taken >= target, "events flow");
        running.IsCompleted.ShouldBeFalse();

        var taking = run.Assembly.Checkpoints!.TakeAsync(default);
        var inFlight = run.Assembly.Run.Streams.Any(s => s.Snapshot().Depth > 0);
        var info = (await taking).ShouldNotBeNull(run.Checkpoints.LastError);
        await crash.CancelAsync();
        var loaded = (await run.State.Store.LoadAsync(info.Id, default)).ShouldNotBeNull();
        var offset = loaded.OffsetsOf("numbers")["0"];
        offset.ShouldBeGreaterThan(from);
        foreach (var component in new[] { "sums", "counts", "meet" })
        {
            var state = (await loaded.StateOfAsync(component, default)).ShouldNotBeNull();
            var found = JsonSerializer.Deserialize<SortedDictionary<string, long>>(state.Content)!;
            Text(found).ShouldBe(Text(Diamond.Expected(component, offset)), $"{component} after {offset}");
        }

        var result = await running;
        result.ExitCode.ShouldBe(RunResult.Abandoned, $"{result.Reason}: {string.Join("; ", result.Errors)}");
        run.Failures.ShouldBeEmpty();
        return (offset, inFlight, from > 0);
    }
}
