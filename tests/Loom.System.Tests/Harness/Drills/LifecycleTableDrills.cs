using System.Runtime.CompilerServices;
using Loom.SystemTests.Processes;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>Section 5's table: each row by its exit code, again and again, without leaving a thread, a file handle or anything that still holds the system.</summary>
[Collection(Alone.Name)]
public sealed class LifecycleTableDrills
{
    [Fact]
    public Task SetupThrows() => EdgeAsync("setup throws", r => r.SetupThrowsAsync());

    [Fact]
    public Task SetupTooLong() => EdgeAsync("setup takes too long", r => r.SetupTooLongAsync(), 3);

    [Fact]
    public Task CleanupThrows() => EdgeAsync("cleanup throws", r => r.CleanupThrowsAsync());

    [Fact]
    public Task CleanupTooLong() => EdgeAsync("cleanup takes too long", r => r.CleanupTooLongAsync(), 3);

    [Fact]
    public Task OwnedNeverCloses() => EdgeAsync("what was opened never closes", r => r.OwnedNeverClosesAsync(), 3);

    [Fact]
    public Task SecondSignal() => EdgeAsync("second signal", r => r.SecondSignalAsync());

    [Fact]
    public async Task Programs()
    {
        await using var stage = new CommandStage();
        await EdgeAsync("programs", r => r.ProgramsAsync(stage), 3);
    }

    [Fact]
    public Task Returns() => RowAsync("process returns", r => r.ReturnsAsync());

    [Fact]
    public Task ThrowsOnOneEvent() => RowAsync("process throws on one event", r => r.ThrowsOnOneEventAsync());

    [Fact]
    public Task ThrowsForGood() => RowAsync("process throws for good", r => r.ThrowsForGoodAsync());

    [Fact]
    public Task ThrowsForGoodAndIsIsolated() => RowAsync("process throws for good, isolated", r => r.ThrowsForGoodAndIsIsolatedAsync());

    [Fact]
    public Task Drains() => RowAsync("drain", r => r.DrainsAsync());

    [Fact]
    public Task DrainsTooLong() => RowAsync("drain deadline", r => r.DrainsTooLongAsync());

    [Fact]
    public Task IgnoresCancellation() => RowAsync("cancellation ignored", r => r.IgnoresCancellationAsync());

    private static Task RowAsync(string row, Func<LifecycleRows, Task<WeakReference>> once) => LoopAsync(row, dedicated => once(new LifecycleRows(dedicated)), 10);

    private static Task EdgeAsync(string row, Func<LifecycleEdges, Task<WeakReference>> once, int rounds = 10) => LoopAsync(row, dedicated => once(new LifecycleEdges(dedicated)), rounds);

    // A task that has not ended holds its system; so does whatever waits for it.
    private static async Task LoopAsync(string row, Func<bool, Task<WeakReference>> once, int rounds)
    {
        await RoundAsync(once);
        var (files, threads, children) = (Files(), Dedicated(), Children());
        var held = new List<WeakReference>();
        await Drill.RunAsync($"section 5, {row}", rounds, 50, async _ => held.AddRange(await RoundAsync(once)));

        // The test platform itself may open a few files meanwhile; a leak would be one for each of the runs at least, of which there are six or more.
        var most = files.Count + 4;
        bool IsGone() => held.All(h => !h.IsAlive) && Files().Count <= most && Dedicated() <= threads && Children() <= children;
        for (var waited = 0; waited < 300 && !IsGone(); waited++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Delay(100);
        }

        IsGone().ShouldBeTrue($"left of {held.Count} runs: {held.Count(h => h.IsAlive)} held, files {files.Count} -> {Files().Count} ({string.Join(", ", Files().Except(files))}), threads {threads} -> {Dedicated()}, children {children} -> {Children()}");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference[]> RoundAsync(Func<bool, Task<WeakReference>> once) => [await once(false), await once(true)];

    // What each is, for the message; one that has just been closed is none.
    private static List<string> Files() =>
        [.. Directory.GetFileSystemEntries("/proc/self/fd").Select(f => new FileInfo(f).LinkTarget is { } target ? $"{Path.GetFileName(f)}={target}" : "").Where(f => f.Length > 0)];

    private static int Children() => Threads("children").Sum(c => c.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length);

    // Threads of the pool come and go; those of a component carry its name.
    private static int Dedicated() => Threads("comm").Count(n => n.TrimEnd() is "own" or "c0" or "c1" or "c2");

    private static IEnumerable<string> Threads(string file)
    {
        foreach (var thread in Directory.GetDirectories("/proc/self/task"))
        {
            string? text = null;
            try
            {
                text = File.ReadAllText(Path.Combine(thread, file));
            }
            catch (IOException)
            {
                // It has just ended.
            }

            if (text is not null)
            {
                yield return text;
            }
        }
    }
}
