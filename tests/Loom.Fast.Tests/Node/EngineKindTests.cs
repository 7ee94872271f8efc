using System.Collections.Immutable;
using Loom.Core.Paths;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class EngineKindTests
{
    [Fact]
    public void LlamaServer_OnCpu_GetsTheDocumentedFlags() => Line(Fixtures.Request(Fixtures.Pool())).ShouldBe(
        "/usr/bin/engine --host 127.0.0.1 --port 28080 --model /models/demo.gguf --alias demo --parallel 4 --ctx-size 8192 --threads 3 --n-gpu-layers 0 "
            + "--metrics --slots --no-webui");

    [Fact]
    public void LlamaServer_Deterministic_OneSlotWithoutContinuousBatching()
    {
        var line = Line(Fixtures.Request(Fixtures.Pool() with { Deterministic = true }));
        line.ShouldContain("--parallel 1 --ctx-size 2048");
        line.ShouldEndWith("--no-cont-batching");
    }

    [Fact]
    public void LlamaServer_Always_OneOpenMpThread() =>
        new LlamaServerEngine().Launch(Fixtures.Request(Fixtures.Pool())).Environment["OMP_NUM_THREADS"].ShouldBe("1");

    [Theory]
    [InlineData(1, "/usr/bin/numactl", "interleave", "/usr/bin/engine")]
    [InlineData(2, null, "interleave", "/usr/bin/engine")]
    [InlineData(2, "/usr/bin/numactl", "interleave", "/usr/bin/numactl --interleave=all /usr/bin/engine")]
    [InlineData(2, "/usr/bin/numactl", "none", "/usr/bin/engine")]
    [InlineData(2, "/usr/bin/numactl", "bind:1", "/usr/bin/numactl --membind=1 --cpunodebind=1 /usr/bin/engine")]
    public void LlamaServer_Numa_PrefixOnlyWhereItChangesSomething(int nodes, string? numactl, string numa, string start)
    {
        var pool = Fixtures.Pool();
        Line(Fixtures.Request(pool with { Engine = pool.Engine with { Numa = numa } }, nodes, numactl)).ShouldStartWith(start + " --host");
    }

    [Fact]
    public void LlamaServer_GpuPresent_AllLayersUnlessTheMaskSaysNone()
    {
        Line(Fixtures.Request(Fixtures.Pool(), gpu: true)).ShouldContain("--n-gpu-layers 9999");
        Line(Fixtures.Request(Fixtures.Pool() with { DeviceMask = ["none"] }, gpu: true)).ShouldContain("--n-gpu-layers 0");
    }

    [Fact]
    public void Command_Placeholders_AreFilledIn()
    {
        var pool = Fixtures.Pool(EngineKinds.Command);
        pool = pool with { DeviceMask = ["0"], Engine = pool.Engine with { Command = ["serve", "--port={port}", "{model}", "{slots}/{ctx}",
            "gpu={gpu_mask}"], Args = ["{port}"] } };
        Line(Fixtures.Request(pool, gpu: true)).ShouldBe("serve --port=28080 /models/demo.gguf 4/2048 gpu=GPU-0000 28080");
    }

    [Fact]
    public void Mock_Plan_RunsLoomItself() =>
        Line(Fixtures.Request(Fixtures.Pool(EngineKinds.Mock))).ShouldBe("/usr/bin/engine dev mock-engine --port 28080 --model demo --slots 4 --ctx 2048");

    [Fact]
    public void Environment_Tokens_NeverReachAnEngineUnlessItsEnvNamesThem()
    {
        var inherited = ImmutableDictionary<string, string>.Empty.Add("LLORCH_API_TOKEN", "secret").Add("PATH", "/bin");
        var folders = new DataFolders("/data", "/data/llm/cache", "/data/llm/tmp");
        var request = Fixtures.Request(Fixtures.Pool());
        var environment = EngineEnvironment.Build(inherited, folders, new EngineLaunch([]), request, _ => { });
        environment.ShouldNotContainKey("LLORCH_API_TOKEN");
        environment["PATH"].ShouldBe("/bin");
        environment["HF_HOME"].ShouldBe("/data/llm/cache/huggingface");
    }

    [Fact]
    public void Environment_UsersFolderOutsideTheDataRoot_IsReplacedWithAWarning()
    {
        var inherited = ImmutableDictionary<string, string>.Empty.Add("HF_HOME", "/home/me/hf").Add("TMPDIR", "/data/mine");
        var warnings = new List<string>();
        var environment = EngineEnvironment.Build(inherited, new DataFolders("/data", "/data/c", "/data/t"), new EngineLaunch([]),
            Fixtures.Request(Fixtures.Pool()), warnings.Add);
        environment["HF_HOME"].ShouldBe("/data/c/huggingface");
        environment["TMPDIR"].ShouldBe("/data/mine");
        warnings.ShouldHaveSingleItem().ShouldContain("/home/me/hf");
    }

    [Theory]
    [InlineData(0, 120)]
    [InlineData(1, 140)]
    [InlineData(10L << 30, 320)]
    [InlineData(1L << 50, 3600)]
    public void ReadyWithin_ModelSize_GrowsToAnHour(long bytes, int seconds) => EngineEffects.ReadyWithin(bytes).TotalSeconds.ShouldBe(seconds);

    private static string Line(LaunchRequest request) => string.Join(' ', EngineKindTable.Of(request.Pool.Engine.Kind).Launch(request).Command);
}
