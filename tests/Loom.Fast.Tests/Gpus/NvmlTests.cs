using Loom.Core.Gpus;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Gpus;

public sealed class NvmlTests
{
    private readonly FakeNvml _nvml = new();
    private int _files = 2;

    [Fact]
    public async Task Read_TwoDevices_InBusOrderWithEverythingTheySay()
    {
        _nvml.Cards.AddRange([new("00000000:CA:00.0", "GPU-b") { Pids = [1, 2, 3] }, new("00000000:3B:00.0", "GPU-a")]);

        var devices = (await Source(ours: pid => pid == 2).ReadAsync(default)).Devices!.Value;

        devices.Select(d => (d.DeviceId, d.Uuid)).ShouldBe([(0, "GPU-a"), (1, "GPU-b")]);
        devices[1].VramTotalBytes.ShouldBe(1000);
        devices[1].VramFreeBytes.ShouldBe(600);
        devices[1].Utilization.ShouldBe(0.25);
        devices[1].TemperatureC.ShouldBe(50);
        devices[1].ComputeCapability.ShouldBe("9.0");
        devices[1].ForeignProcesses.ShouldBe(2);
    }

    [Fact]
    public async Task Read_UnreadableValues_AreNullNotZero()
    {
        _nvml.Cards.Add(new("1", "GPU-a") { Total = null, Busy = null, Pids = null, Name = "" });

        var device = (await Source().ReadAsync(default)).Devices!.Value.ShouldHaveSingleItem();

        device.VramTotalBytes.ShouldBeNull();
        device.VramFreeBytes.ShouldBeNull();
        device.Utilization.ShouldBeNull();
        device.ForeignProcesses.ShouldBeNull();
        device.Name.ShouldBeNull();
    }

    [Fact]
    public async Task Read_NothingUsedOfTheMemory_IsZeroAndNotUnknown()
    {
        _nvml.Cards.Add(new("1", "GPU-a") { Free = 0 });

        (await Source().ReadAsync(default)).Devices!.Value[0].VramFreeBytes.ShouldBe(0);
    }

    [Fact]
    public async Task Read_LostDevice_IsLeftOutAndTheLibraryStartsAnew()
    {
        _nvml.Cards.AddRange([new("1", "GPU-a"), new("2", "GPU-b")]);
        var source = Source();
        await source.ReadAsync(default);

        _nvml.Cards.RemoveAt(0);
        var reading = await source.ReadAsync(default);

        reading.Devices!.Value.ShouldHaveSingleItem().Uuid.ShouldBe("GPU-b");
        reading.Trouble.ShouldNotBeNull().ShouldContain("words for 15");
        (await source.ReadAsync(default)).Trouble.ShouldBeNull();
        _nvml.Inits.ShouldBe(2);
    }

    [Fact]
    public async Task Read_NewDeviceFile_StartsTheLibraryAnew()
    {
        _nvml.Cards.Add(new("1", "GPU-a"));
        var source = Source();
        await source.ReadAsync(default);
        await source.ReadAsync(default);
        _nvml.Inits.ShouldBe(1);

        _nvml.Cards.Add(new("2", "GPU-b"));
        _files++;

        (await source.ReadAsync(default)).Devices!.Value.Length.ShouldBe(2);
        _nvml.Inits.ShouldBe(2);
        _nvml.Shutdowns.ShouldBe(1);
    }

    [Fact]
    public async Task Read_DriverNotLoaded_IsUnusableAndNoError()
    {
        _nvml.InitCode = NvmlCode.DriverNotLoaded;

        var reading = await Source().ReadAsync(default);

        reading.Devices.ShouldBeNull();
        reading.Trouble.ShouldNotBeNull().ShouldContain("words for 9");
    }

    [Fact]
    public async Task Read_NoLibrary_IsUnusableAndNoError()
    {
        var source = new NvmlSource(() => (null, "it is not installed"), () => 0, _ => false, TimeProvider.System);

        (await source.ReadAsync(default)).ShouldBe(GpuReading.Unusable("it is not installed"));
    }

    [Fact]
    public async Task Read_DriverThatHangs_IsUnusableAndNotCalledAgain()
    {
        var time = new ManualTimeProvider();
        var hold = new ManualResetEventSlim();
        var calls = 0;
        var called = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var source = new NvmlSource(
            () =>
            {
                Interlocked.Increment(ref calls);
                called.TrySetResult();
                hold.Wait();
                return (null, "at last");
            },
            () => 0, _ => false, time);

        (await HangAsync(source, time, called.Task)).Trouble.ShouldBe("the driver gives no answer within 10 s");
        (await HangAsync(source, time, called.Task)).Devices.ShouldBeNull();
        calls.ShouldBe(1);

        hold.Set();
        (await source.ReadAsync(default)).Trouble.ShouldBe("at last");
        hold.Dispose();
    }

    private static async Task<GpuReading> HangAsync(NvmlSource source, ManualTimeProvider time, Task called)
    {
        var reading = source.ReadAsync(default);
        await called.WaitAsync(TimeSpan.FromSeconds(60)); // time passes while it hangs, not before
        while (!reading.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            await Task.Yield();
        }

        return await reading;
    }

    private NvmlSource Source(Func<int, bool>? ours = null) => new(() => (_nvml, ""), () => _files, ours ?? (_ => false), TimeProvider.System);
}
