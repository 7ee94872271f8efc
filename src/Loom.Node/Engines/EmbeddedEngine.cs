using static Loom.Node.Engines.LaunchPlaceholders;

namespace Loom.Node.Engines;

/// <summary>Node and the adapter of <c>engines/embedded</c>: real llama.cpp on a fresh machine, on the CPU.</summary>
public sealed class EmbeddedEngine : IEngineKind
{
    /// <summary>The adapter's program, in its installed folder.</summary>
    public const string EntryPoint = "server.js";

    public EngineLaunch Launch(LaunchRequest request) => new(
    [
        request.Prepared.Program, Path.Combine(request.Prepared.Folder!, EntryPoint),
        "--port", Number(request.Port),
        "--model", request.Model,
        "--id", request.ModelId,
        "--slots", Number(request.Pool.EffectiveSlots),
        "--ctx", Number(request.Ctx),
        "--threads", Number(request.Threads),
        .. request.Pool.Deterministic ? new[] { "--deterministic" } : [],
        .. Fill(request.Pool.Engine.Args, request),
    ]);
}
