using System.Runtime.CompilerServices;
using Loom.SystemTests.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>Section 5's table: each row by its exit code, again and again, without leaving a thread, a file handle or anything that still holds the system.</summary>
[Collection(Alone.Name)]
public sealed class LifecycleTableDrills
{
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

    private static async Task RowAsync(string row, Func<LifecycleRows, Task<WeakReference>> once)
    {
        await RoundAsync(once);
        var (files, threads) = (Entries("fd"), Dedicated());
        var held = new List<WeakReference>();
        await Drill.RunAsync($"section 5, {row}", 5, 50, async _ => held.AddRange(await RoundAsync(once)));

        // The test platform itself may open one or two meanwhile; a leak would be one for each of the runs at least.
        bool IsGone() => held.All(h => !h.IsAlive) && Entries("fd") < files + held.Count && Dedicated() <= threads;
        for (var waited = 0; waited < 300 && !IsGone(); waited++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            await Task.Delay(100);
        }

        IsGone().ShouldBeTrue($"left of {held.Count} runs: {held.Count(h => h.IsAlive)} held, files {files} -> {Entries("fd")}, threads {threads} -> {Dedicated()}");
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static async Task<WeakReference[]> RoundAsync(Func<LifecycleRows, Task<WeakReference>> once) =>
        [await once(new LifecycleRows(dedicated: false)), await once(new LifecycleRows(dedicated: true))];

    private static int Entries(string what) => Directory.GetFileSystemEntries($"/proc/self/{what}").Length;

    // Threads of the pool come and go; those of a component carry its name.
    private static int Dedicated() => Directory.GetDirectories("/proc/self/task").Count(t =>
    {
        try
        {
            return File.ReadAllText(Path.Combine(t, "comm")).StartsWith("own", StringComparison.Ordinal);
        }
        catch (IOException)
        {
            return false;
        }
    });
}
