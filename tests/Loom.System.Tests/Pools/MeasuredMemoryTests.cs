using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Pools;

public sealed class MeasuredMemoryTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Remember_AnotherReader_FindsItByModelContextAndBuild()
    {
        var pool = new PoolPlan { Id = "chat", Engine = new EnginePlan { Name = "cpu", Kind = EngineKinds.LlamaServer } };
        var engine = new PreparedEngine { Program = "/usr/bin/llama-server", Version = "v1" };
        var model = new PreparedModel("m", "/m.gguf", 1000) { Ctx = 2048 };
        var key = MeasuredMemory.KeyOf(pool, engine, model, onGpu: false);
        new MeasuredMemory(_folder["cache"]).Remember(key, 4242);
        var again = new MeasuredMemory(_folder["cache"]);
        again.Of(key).ShouldBe(4242);
        again.Of(MeasuredMemory.KeyOf(pool with { Ctx = 4096 }, engine, model, false)).ShouldBeNull();
        again.Of(MeasuredMemory.KeyOf(pool, engine with { Version = "v2" }, model, false)).ShouldBeNull();
        again.Of(MeasuredMemory.KeyOf(pool, engine, model, true)).ShouldBeNull();
    }

    [Fact]
    public void Read_GarbageInTheFile_KnowsNothingAndWritesAnew()
    {
        Directory.CreateDirectory(_folder["cache"]);
        File.WriteAllText(Path.Combine(_folder["cache"], "measured.json"), "{nonsense");
        var memory = new MeasuredMemory(_folder["cache"]);
        memory.Of("a").ShouldBeNull();
        memory.Remember("a", 7);
        memory.Of("a").ShouldBe(7);
    }

    [Theory]
    [InlineData(null, 300 + (512L << 20))]
    [InlineData(900L, 900)]
    [InlineData(100L, 300)]
    public void Fit_Measured_ReplacesTheRoomForTheEngine(long? measured, long total) =>
        (new ModelFit(100, 200) { Measured = measured }).Total.ShouldBe(total);
}
