using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Fast.Tests.Node;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Gpus;

public sealed class NodeGpusTests
{
    private const long GiB = 1L << 30;

    private static readonly GpuSnapshot s_two = new() { Source = GpuSources.Nvml, Devices = [GpuTrackingTests.Gpu(0), GpuTrackingTests.Gpu(1)] };

    [Fact]
    public void Pin_Indices_BecomeUuidsAndStay()
    {
        NodeGpus.Pin(["1"], EngineKinds.LlamaServer, s_two).ShouldBe(["GPU-1"]);
        NodeGpus.Pin(["1"], EngineKinds.Embedded, s_two).ShouldBeEmpty();
        NodeGpus.Pin(["0"], EngineKinds.LlamaServer, GpuSnapshot.None).ShouldBeEmpty();
    }

    [Fact]
    public void MaskTrouble_DefaultMaskWithoutGpu_IsNone()
    {
        NodeGpus.MaskTrouble(Fixtures.Pool(), GpuSnapshot.None).ShouldBeNull();
        NodeGpus.MaskTrouble(Fixtures.Pool() with { DeviceMask = ["0"], DeviceMaskIsGiven = true }, GpuSnapshot.None).ShouldNotBeNull().ShouldContain("serving.pools.chat.device_mask = 0");
    }

    [Theory]
    [InlineData(ReplicaState.Ready)]
    [InlineData(ReplicaState.Starting)]
    [InlineData(ReplicaState.Reloading)]
    public void View_VanishedDevice_MakesItsReplicasUnreadyAndNamesIt(ReplicaState state)
    {
        var gone = s_two with { Devices = [GpuTrackingTests.Gpu(0)], Vanished = s_two.Vanished.Add("GPU-1", GpuTrackingTests.Gpu(1)) };

        var on = GpuView.Apply(Replica(state) with { DeviceMask = ["GPU-1"] }, gone);
        on.State.ShouldBe(ReplicaState.Unready);
        on.LastError.ShouldBe("GPU 1 = GPU-1 (H200) has vanished");
        GpuView.Apply(Replica(state) with { DeviceMask = ["GPU-0"] }, gone).State.ShouldBe(state);
        GpuView.Apply(Replica(state), gone).State.ShouldBe(state);
    }

    [Fact]
    public void View_StoppedReplica_StaysStopped() =>
        GpuView.Apply(Replica(ReplicaState.Stopped) with { DeviceMask = ["GPU-1"] }, s_two with { Vanished = s_two.Vanished.Add("GPU-1", GpuTrackingTests.Gpu(1)) })
            .State.ShouldBe(ReplicaState.Stopped);

    [Fact]
    public void View_DevicesPresent_TellsTheirFreeMemory()
    {
        GpuView.Apply(Replica(ReplicaState.Ready) with { DeviceMask = ["GPU-0", "GPU-1"] }, s_two).VramFreeBytes.ShouldBe(100);
        GpuView.Apply(Replica(ReplicaState.Ready), s_two).VramFreeBytes.ShouldBeNull();
        GpuView.Apply(Replica(ReplicaState.Ready) with { DeviceMask = ["GPU-0"] }, s_two with { Devices = [GpuTrackingTests.Gpu(0) with { VramFreeBytes = null }] })
            .VramFreeBytes.ShouldBeNull();
    }

    [Fact]
    public void View_InventedDevices_MarkTheReplicaMock() =>
        GpuView.Apply(Replica(ReplicaState.Ready) with { DeviceMask = ["GPU-0"] }, s_two with { Source = GpuSources.Mock }).Mock.ShouldBeTrue();

    [Fact]
    public void Fit_MoreThanIsFree_SaysHowMuchAndWho()
    {
        var fit = GpuFit.Of(new ModelFit(8 * GiB, GiB), null, 32);
        ImmutableArray<GpuDevice> busy = [new() { DeviceId = 1, Uuid = "GPU-1", VramFreeBytes = 2 * GiB, ForeignProcesses = 3 }];

        fit.Trouble("m", "chat", 8192, 4, busy, long.MaxValue).ShouldNotBeNull()
            .ShouldStartWith("model 'm' needs 9.5 GiB of GPU memory (8 GiB of weights, 1 GiB for 4 x 8192 tokens, 512 MiB for the engine), 2 GiB are free on GPU 1, "
                + "where 3 processes that are not Loom's run;");
    }

    [Fact]
    public void Fit_FreeOnTwoTogether_Fits()
    {
        ImmutableArray<GpuDevice> two = [new() { DeviceId = 0, Uuid = "a", VramFreeBytes = 5 * GiB }, new() { DeviceId = 1, Uuid = "b", VramFreeBytes = 5 * GiB }];

        GpuFit.Of(new ModelFit(8 * GiB, GiB), null, 32).Trouble("m", "chat", 8192, 4, two, 0).ShouldBeNull();
    }

    [Fact]
    public void Fit_UnreadableMemory_IsNotJudged() =>
        GpuFit.Of(new ModelFit(8 * GiB, GiB), null, 32).Trouble("m", "chat", 1, 1, [new GpuDevice { DeviceId = 0, Uuid = "a" }], 0).ShouldBeNull();

    [Fact]
    public void Fit_SomeLayers_TheRestMustFitIntoMemory()
    {
        var fit = GpuFit.Of(new ModelFit(33 * GiB, 33 * GiB), layers: 11, blocks: 32);

        fit.OnGpus.Weights.ShouldBe(11 * GiB);
        fit.InMemory.ShouldBe(new ModelFit(22 * GiB, 22 * GiB));
        ImmutableArray<GpuDevice> roomy = [new() { DeviceId = 0, Uuid = "a", VramFreeBytes = 30 * GiB }];
        fit.Trouble("m", "chat", 1, 1, roomy, 50 * GiB).ShouldBeNull();
        fit.Trouble("m", "chat", 1, 1, roomy, 40 * GiB).ShouldNotBeNull().ShouldContain("needs 44.5 GiB");
    }

    private static ReplicaStatus Replica(ReplicaState state) => new()
    {
        Id = new ReplicaId("here", "chat", "r0"),
        State = state,
        EngineKind = EngineKinds.LlamaServer,
        Model = "m",
        Models = ["m"],
        SlotsTotal = 1,
    };
}
