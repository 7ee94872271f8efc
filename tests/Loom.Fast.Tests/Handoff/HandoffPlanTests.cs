using System.Collections.Immutable;
using Loom.Core.Gpus;
using Loom.Fast.Tests.Node;
using Loom.Node.Engines;
using Loom.Node.Handoff;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Handoff;

public sealed class HandoffPlanTests
{
    private static readonly HandoffDocument s_document = new() { State = "prepared", PoolId = "chat", ReplicaId = "r0" };

    [Fact]
    public void Of_DocumentThatAddsNothing_IsThePool()
    {
        var pool = Fixtures.Pool() with { Engine = Fixtures.Pool().Engine with { Args = ["--x"] }, DeviceMask = [] };

        HandoffPlan.Same(pool, HandoffPlan.Of(pool, s_document, GpuSnapshot.None)).ShouldBeTrue();
        HandoffPlan.Same(pool, HandoffPlan.Of(pool, s_document with { Flags = ["--x"], Slots = 4, Model = new("demo", "/m/demo.gguf"), DeviceMask = "none" }, GpuSnapshot.None)).ShouldBeTrue();
    }

    [Fact]
    public void Of_EverythingOverridden_IsTaken()
    {
        var plan = HandoffPlan.Of(Fixtures.Pool(), s_document with
        {
            BinaryPath = "/b/llama-server",
            EngineVersion = "v9",
            Flags = ["--flash-attn"],
            Env = ImmutableDictionary<string, string>.Empty.Add("A", "b"),
            DeviceMask = "0",
            Slots = 2,
            Model = new("other", "/m/other.gguf"),
        }, Fixtures.OneGpu);

        plan.Engine.Binary.ShouldBe("/b/llama-server");
        plan.Engine.Version.ShouldBe("v9");
        plan.Engine.Args.ShouldBe(["--flash-attn"]);
        plan.Engine.Env["A"].ShouldBe("b");
        plan.DeviceMask.ShouldBe(["GPU-0000"]);
        plan.Slots.ShouldBe(2);
        plan.ModelIds[0].ShouldBe("other");
        HandoffPlan.Same(Fixtures.Pool(), plan).ShouldBeFalse();
    }

    [Theory]
    [InlineData("http://127.0.0.1:81", "http://127.0.0.1:81/v1", "http://127.0.0.1:81/health")]
    [InlineData("http://127.0.0.1:81/", "http://127.0.0.1:81/v1", "http://127.0.0.1:81/health")]
    [InlineData("http://127.0.0.1:81/v1", "http://127.0.0.1:81/v1", "http://127.0.0.1:81/health")]
    [InlineData("http://127.0.0.1:81/v1/", "http://127.0.0.1:81/v1", "http://127.0.0.1:81/health")]
    [InlineData("http://127.0.0.1:81/api/v1", "http://127.0.0.1:81/api/v1", "http://127.0.0.1:81/api/health")]
    public void Running_Url_HasOneShape(string written, string url, string health)
    {
        var engine = RunningEngine.Of("here", s_document with { State = "running", Url = written }, null);

        engine.Url.ShouldBe(url);
        engine.Health.ToString().ShouldBe(health);
    }

    [Theory]
    [InlineData(null, 0)]
    [InlineData(3, 1)]
    [InlineData(99, 0)]
    [InlineData(-5, 4)]
    public void Running_SlotsFree_AreClamped(int? free, int busy)
    {
        var status = RunningEngine.Of("here", s_document with { Url = "http://127.0.0.1:81", SlotsTotal = 4, SlotsFree = free }, null).View(EngineFacts.None, null);

        status.SlotsTotal.ShouldBe(4);
        status.SlotsBusyElsewhere.ShouldBe(busy);
    }

    [Fact]
    public void Running_UnknownPool_IsShownAsHandoffWithWhatTheEngineSays()
    {
        var engine = RunningEngine.Of("here", s_document with { Url = "http://127.0.0.1:81", PoolId = "vllm", ReplicaId = "a" }, null);

        var status = engine.View(EngineFacts.None with { Model = "org/model", Ctx = 4096 }, null);
        status.Id.ShouldBe(new ReplicaId("here", "vllm", "a"));
        status.Source.ShouldBe("handoff");
        status.Model.ShouldBe("org/model");
        status.UpstreamModel.ShouldBeNull();
        status.State.ShouldBe(ReplicaState.Ready);
        status.EngineKind.ShouldBe("command");
        engine.View(EngineFacts.None, "dead").LastError.ShouldBe("dead");
    }

    [Fact]
    public void Running_KnownPool_FillsInWhatIsMissing()
    {
        var pool = Fixtures.Pool() with { Aliases = ["gpt"], Slots = 7 };
        var status = RunningEngine.Of("here", s_document with { Url = "http://127.0.0.1:81", ReplicaId = "x0" }, pool).View(EngineFacts.None with { Model = "/m/file.gguf" }, null);

        status.Aliases.ShouldBe(["gpt"]);
        status.SlotsTotal.ShouldBe(7);
        status.Model.ShouldBe("demo");
        status.UpstreamModel.ShouldBe("/m/file.gguf");
        status.EngineKind.ShouldBe("llama-server");
    }
}
