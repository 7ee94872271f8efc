using Loom.Core.Gpus;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Gpus;

/// <summary>Answers of real drivers, word for word apart from the identities.</summary>
public sealed class NvidiaSmiTests
{
    private const long MiB = 1L << 20;

    [Fact]
    public void Parse_TwoGpusOutOfOrder_NumbersByBus()
    {
        var reading = NvidiaSmi.Parse(
            [
                "0, GPU-bbbbbbbb-0000-0000-0000-000000000002, 00000000:CA:00.0, NVIDIA H200, 143771, 143167, 0, 31, 9.0",
                "1, GPU-aaaaaaaa-0000-0000-0000-000000000001, 00000000:3B:00.0, NVIDIA A100-SXM4-80GB, 81920, 512, 97, 64, 8.0",
            ],
            ["GPU-aaaaaaaa-0000-0000-0000-000000000001, 4711", "GPU-aaaaaaaa-0000-0000-0000-000000000001, 4712", "GPU-aaaaaaaa-0000-0000-0000-000000000001, 4712"],
            ours: pid => pid == 4711);

        reading.Trouble.ShouldBeNull();
        var devices = reading.Devices!.Value;
        devices.Select(d => d.DeviceId).ShouldBe([0, 1]);
        devices[0].Uuid.ShouldStartWith("GPU-aaaaaaaa");
        devices[0].Name.ShouldBe("NVIDIA A100-SXM4-80GB");
        devices[0].VramTotalBytes.ShouldBe(81920 * MiB);
        devices[0].VramFreeBytes.ShouldBe(512 * MiB);
        devices[0].Utilization.ShouldBe(0.97);
        devices[0].TemperatureC.ShouldBe(64);
        devices[0].ComputeCapability.ShouldBe("8.0");
        devices[0].ForeignProcesses.ShouldBe(1);
        devices[1].ForeignProcesses.ShouldBe(0);
        devices[1].Utilization.ShouldBe(0);
    }

    [Theory]
    [InlineData("[N/A]")]
    [InlineData("[Not Supported]")]
    [InlineData("[Unknown Error]")]
    [InlineData("[GPU is lost]")]
    [InlineData("ERR!")]
    public void Parse_UnreadableValues_AreNullNotZero(string word)
    {
        var device = NvidiaSmi.Parse([$"0, GPU-1, 00000000:01:00.0, NVIDIA GeForce GT 710, {word}, {word}, {word}, {word}, {word}"], null, _ => false).Devices!.Value.ShouldHaveSingleItem();

        device.Name.ShouldBe("NVIDIA GeForce GT 710");
        device.VramTotalBytes.ShouldBeNull();
        device.VramFreeBytes.ShouldBeNull();
        device.Utilization.ShouldBeNull();
        device.TemperatureC.ShouldBeNull();
        device.ComputeCapability.ShouldBeNull();
        device.ForeignProcesses.ShouldBeNull();
    }

    [Fact]
    public void Parse_OldDriverWithoutCapability_KeepsTheOtherFields()
    {
        var device = NvidiaSmi.Parse(["0, GPU-1, 00000000:00:1E.0, Tesla V100-SXM2-16GB, 16160, 16157, 0, 34"], [], _ => false).Devices!.Value.ShouldHaveSingleItem();

        device.Name.ShouldBe("Tesla V100-SXM2-16GB");
        device.VramTotalBytes.ShouldBe(16160 * MiB);
        device.TemperatureC.ShouldBe(34);
        device.ComputeCapability.ShouldBeNull();
        device.ForeignProcesses.ShouldBe(0);
    }

    [Fact]
    public void Parse_NameWithComma_StaysWhole() =>
        NvidiaSmi.Parse(["0, GPU-1, 00000000:00:1E.0, Some, Inc. GPU, 100, 50, 1, 34, 7.5"], [], _ => false).Devices!.Value[0].Name.ShouldBe("Some, Inc. GPU");

    [Fact]
    public void Parse_LineThatIsNoDevice_IsToldAndTheOthersStay()
    {
        var reading = NvidiaSmi.Parse(["Unable to determine the device handle for GPU0000:03:00.0: Unknown Error", "0, GPU-1, 00000000:00:1E.0, T4, 100, 50, 1, 34, 7.5"], [], _ => false);

        reading.Devices!.Value.Length.ShouldBe(1);
        reading.Trouble.ShouldNotBeNull().ShouldContain("Unable to determine");
    }

    [Fact]
    public void Parse_NoDevices_IsAnEmptyMachine() => NvidiaSmi.Parse(["No devices were found"], null, _ => false).Devices!.Value.ShouldBeEmpty();

    [Fact]
    public async Task Source_DriverThatRefusesTheCapability_IsAskedWithoutIt()
    {
        var asked = new List<string>();
        var source = new NvidiaSmiSource(
            (arguments, _) =>
            {
                asked.Add(arguments[0]);
                return Task.FromResult<GpuToolResult?>(arguments[0].Contains("compute_cap", StringComparison.Ordinal)
                    ? new GpuToolResult(2, ["Field \"compute_cap\" is not a valid field to query.", ""], null)
                    : arguments[0].Contains("query-gpu", StringComparison.Ordinal) ? new GpuToolResult(0, ["0, GPU-1, 00000000:00:1E.0, V100, 16160, 16157, 0, 34"], null)
                    : new GpuToolResult(0, [], null));
            },
            _ => false);

        (await source.ReadAsync(default)).Devices!.Value.Length.ShouldBe(1);
        (await source.ReadAsync(default)).Devices!.Value.Length.ShouldBe(1);
        asked.Count(a => a.Contains("compute_cap", StringComparison.Ordinal)).ShouldBe(1);
    }

    [Theory]
    [InlineData(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running.")]
    [InlineData(12, "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.")]
    public async Task Source_FailedTool_IsUnusableAndSaysWhy(int code, string words)
    {
        var reading = await new NvidiaSmiSource((_, _) => Task.FromResult<GpuToolResult?>(new GpuToolResult(code, [words], null)), _ => false).ReadAsync(default);

        reading.Devices.ShouldBeNull();
        reading.Trouble.ShouldNotBeNull().ShouldContain(words);
    }

    [Fact]
    public async Task Source_DriverWithoutDevice_IsAnEmptyMachine() =>
        (await new NvidiaSmiSource((_, _) => Task.FromResult<GpuToolResult?>(new GpuToolResult(6, ["No devices were found"], null)), _ => false).ReadAsync(default))
            .Devices!.Value.ShouldBeEmpty();

    [Fact]
    public async Task Source_NoTool_IsUnusable() =>
        (await new NvidiaSmiSource((_, _) => Task.FromResult<GpuToolResult?>(null), _ => false).ReadAsync(default)).Devices.ShouldBeNull();
}
