using static Loom.Node.Engines.LaunchPlaceholders;

namespace Loom.Node.Engines;

/// <summary>Loom's own mock engine: deterministic words, marked mock wherever they go.</summary>
public sealed class MockEngine : IEngineKind
{
    public EngineLaunch Launch(LaunchRequest request) => new(
    [
        request.Prepared.Program, "dev", "mock-engine",
        "--port", Number(request.Port),
        "--model", request.ModelId,
        "--slots", Number(request.Pool.EffectiveSlots),
        "--ctx", Number(request.Ctx),
        .. Fill(request.Pool.Engine.Args, request),
    ]);
}
