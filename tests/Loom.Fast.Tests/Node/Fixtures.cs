using Loom.Core.Gpus;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Processes;

namespace Loom.Fast.Tests.Node;

internal static class Fixtures
{
    public static DateTimeOffset Now { get; } = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    public static PreparedEngine Prepared { get; } = new() { Program = "/usr/bin/engine",
        Model = new PreparedModel("demo", "/models/demo.gguf", 1000) { Ctx = 2048 } };

    public static GpuSnapshot OneGpu { get; } = new() { Source = GpuSources.Nvml, Devices = [new() { DeviceId = 0, Uuid = "GPU-0000", VramTotalBytes = 100, VramFreeBytes = 80 }] };

    public static PoolPlan Pool(string kind = EngineKinds.LlamaServer) => new() { Id = "chat", Engine = new EnginePlan { Name = "cpu", Kind = kind } };

    public static LaunchRequest Request(PoolPlan pool, int numaNodes = 1, string? numactl = null, bool gpu = false) => new()
    {
        Pool = pool,
        Replica = "r0",
        Port = 28080,
        Prepared = Prepared with { Folder = "/cache/embedded" },
        Threads = 3,
        Machine = new LaunchMachine(numaNodes, numactl, new FixedGpus(gpu ? OneGpu : GpuSnapshot.None)),
    };

    public static ProcessSnapshot Process(ProcessState state, int spawns, string? reason = null, TimeSpan? backoff = null) => new()
    {
        Name = "engine-chat-r0",
        Kind = ProcessKind.Engine,
        State = state,
        Since = Now,
        Spawns = spawns,
        Reason = reason,
        NextStart = backoff is { } b ? Now + b : null,
        LastExit = state is ProcessState.Completed ? new ExitInfo(0, null, Now) : null,
        LogPath = "/logs/engine-chat-r0.log",
        Grace = TimeSpan.FromSeconds(5),
    };
}
