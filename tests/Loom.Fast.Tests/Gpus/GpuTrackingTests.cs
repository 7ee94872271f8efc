using Loom.Core.Gpus;
using Loom.Testing;
using Loom.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Gpus;

public sealed class GpuTrackingTests
{
    [Fact]
    public void Step_FirstDevices_Appear()
    {
        var (next, changes) = new GpuTracking().Step([Nvml(Gpu(0), Gpu(1))]);

        changes.Appeared.Select(d => d.Uuid).ShouldBe(["GPU-0", "GPU-1"]);
        next.Snapshot.Source.ShouldBe("nvml");
        next.Snapshot.Scan.ShouldBe(1);
        next.Snapshot.Mock.ShouldBeFalse();
    }

    [Fact]
    public void Step_MissedOnce_StaysWithNothingOutOfDate()
    {
        var (next, changes) = Seen(Gpu(0), Gpu(1)).Step([Nvml(Gpu(0))]);

        changes.None.ShouldBeTrue();
        next.Snapshot.Devices.Length.ShouldBe(2);
        next.Snapshot.Devices[1].VramFreeBytes.ShouldBeNull();
        next.Snapshot.Devices[1].VramTotalBytes.ShouldBe(100);
        next.Snapshot.Vanished.ShouldBeEmpty();
    }

    [Fact]
    public void Step_MissedTwice_Vanishes()
    {
        var (once, _) = Seen(Gpu(0), Gpu(1)).Step([Nvml(Gpu(0))]);
        var (twice, changes) = once.Step([Nvml(Gpu(0))]);

        changes.Vanished.ShouldHaveSingleItem().Uuid.ShouldBe("GPU-1");
        twice.Snapshot.Devices.ShouldHaveSingleItem();
        twice.Snapshot.Vanished.Keys.ShouldBe(["GPU-1"]);
    }

    [Fact]
    public void Step_BackAgain_AppearsAndIsNoLongerVanished()
    {
        var (once, _) = Seen(Gpu(0)).Step([Nvml()]);
        var (twice, _) = once.Step([Nvml()]);
        var (back, changes) = twice.Step([Nvml(Gpu(0))]);

        changes.Appeared.ShouldHaveSingleItem();
        back.Snapshot.Vanished.ShouldBeEmpty();
    }

    [Fact]
    public void Step_MissedOnceThenSeenThenMissed_CountsAnew()
    {
        var (once, _) = Seen(Gpu(0)).Step([Nvml()]);
        var (seen, _) = once.Step([Nvml(Gpu(0))]);
        var (again, changes) = seen.Step([Nvml()]);

        changes.None.ShouldBeTrue();
        again.Snapshot.Devices.ShouldHaveSingleItem();
    }

    [Fact]
    public void Step_SourceFailsOnce_IsNoMachineWithoutGpus()
    {
        var (next, changes) = Seen(Gpu(0)).Step([("nvml", GpuReading.Unusable("driver hung")), ("nvidia-smi", GpuReading.Unusable("timed out")), ("mock", new GpuReading([], null))]);

        changes.None.ShouldBeTrue();
        next.Snapshot.Source.ShouldBe("nvml");
        next.Snapshot.Devices.ShouldHaveSingleItem();
        next.Snapshot.Trouble.ShouldBe("nvml: driver hung; nvidia-smi: timed out");
    }

    [Fact]
    public void Step_OtherSourceTakesOver_KeepsTheDevices()
    {
        var (next, changes) = Seen(Gpu(0)).Step([("nvml", GpuReading.Unusable("gone")), ("nvidia-smi", new GpuReading([Gpu(0)], null))]);

        changes.None.ShouldBeTrue();
        next.Snapshot.Source.ShouldBe("nvidia-smi");
    }

    [Fact]
    public async Task Inventory_MachineWithoutGpu_SaysMockAndHasNone()
    {
        var inventory = new GpuInventory([new NvmlSource(() => (null, "none"), () => 0, _ => false, TimeProvider.System), new MockGpus(0)], TimeSpan.FromSeconds(10), new ManualTimeProvider(), NullLogger.Instance);

        var found = await inventory.ScanAsync(default);

        found.Source.ShouldBe("mock");
        found.Devices.ShouldBeEmpty();
        found.Mock.ShouldBeFalse();
        found.Trouble.ShouldBe("nvml: none");
        await inventory.DisposeAsync();
    }

    [Fact]
    public async Task Inventory_EachInterval_ScansAndTellsListeners()
    {
        var time = new ManualTimeProvider();
        var inventory = new GpuInventory([new MockGpus(2)], TimeSpan.FromSeconds(10), time, NullLogger.Instance);
        await inventory.ScanAsync(default);
        var scanned = new TaskCompletionSource<GpuSnapshot>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var subscription = inventory.Subscribe(s => scanned.TrySetResult(s));

        inventory.Start();
        while (!scanned.Task.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            await Task.Yield();
        }

        var snapshot = await scanned.Task;
        snapshot.Scan.ShouldBeGreaterThan(1);
        snapshot.Mock.ShouldBeTrue();
        snapshot.Devices.Length.ShouldBe(2);
        await inventory.DisposeAsync();
    }

    internal static GpuDevice Gpu(int index) => new() { DeviceId = index, Uuid = $"GPU-{index}", Name = "H200", VramTotalBytes = 100, VramFreeBytes = 50 };

    private static (string, GpuReading) Nvml(params GpuDevice[] devices) => ("nvml", new GpuReading([.. devices], null));

    private static GpuTracking Seen(params GpuDevice[] devices) => new GpuTracking().Step([Nvml(devices)]).Next;
}
