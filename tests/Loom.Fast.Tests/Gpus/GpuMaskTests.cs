using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Gpus;

public sealed class GpuMaskTests
{
    private static readonly ImmutableArray<GpuDevice> s_two =
    [
        new() { DeviceId = 0, Uuid = "GPU-5f1c0000-a", Name = "H200" },
        new() { DeviceId = 1, Uuid = "GPU-77aa0000-b", Name = "T4" },
    ];

    [Theory]
    [InlineData("0", "GPU-5f1c0000-a")]
    [InlineData("1,0", "GPU-77aa0000-b,GPU-5f1c0000-a")]
    [InlineData("1,1", "GPU-77aa0000-b")]
    [InlineData("GPU-77AA0000-B", "GPU-77aa0000-b")]
    [InlineData("GPU-77", "GPU-77aa0000-b")]
    [InlineData("none", "")]
    [InlineData("NONE", "")]
    [InlineData("", "")]
    public void Select_Mask_IsVisibleByUuid(string mask, string visible)
    {
        var selection = GpuMask.Select([.. mask.Split(',', StringSplitOptions.RemoveEmptyEntries)], s_two);

        selection.Unknown.ShouldBeEmpty();
        selection.Visible.ShouldBe(visible);
    }

    [Theory]
    [InlineData("2")]
    [InlineData("GPU-")]
    [InlineData("MIG-1")]
    [InlineData("-1")]
    [InlineData("H200")]
    public void Select_WhatIsNotThere_IsUnknown(string entry) => GpuMask.Select([entry], s_two).Unknown.ShouldBe([entry]);

    [Fact]
    public void Trouble_UnknownIndex_ListsWhatIsPresent() =>
        GpuMask.Trouble("serving.provisioner.gpu_mask", ["0", "7"], new GpuSnapshot { Source = "nvml", Devices = s_two })
            .ShouldBe("serving.provisioner.gpu_mask = 0,7: no GPU 7 on this machine; devices present: 0 = GPU-5f1c0000-a (H200), 1 = GPU-77aa0000-b (T4)");

    [Fact]
    public void Trouble_NoGpuAtAll_SaysWhyNoneWasFound() =>
        GpuMask.Trouble("serving.provisioner.gpu_mask", ["0"], new GpuSnapshot { Trouble = "nvml: libnvidia-ml.so.1 is not installed" })
            .ShouldBe("serving.provisioner.gpu_mask = 0: no GPU 0 on this machine; devices present: none (nvml: libnvidia-ml.so.1 is not installed)");

    [Fact]
    public void Trouble_NoneAmongOthers_IsRefused() =>
        GpuMask.Trouble("m", ["0", "none"], new GpuSnapshot { Devices = s_two }).ShouldNotBeNull().ShouldContain("stands alone");

    [Fact]
    public void Trouble_KnownOrNone_IsNone()
    {
        GpuMask.Trouble("m", ["1"], new GpuSnapshot { Devices = s_two }).ShouldBeNull();
        GpuMask.Trouble("m", ["none"], GpuSnapshot.None).ShouldBeNull();
    }
}
