using Loom.Harness.Errors;
using Loom.Harness.Execution;

namespace Loom.Harness.Telemetry;

/// <summary>What metrics are read from: one snapshot of a run and what lies beside it, so that all series of a reading are of the same moment.</summary>
internal sealed class MetricView(SystemAssembly assembly)
{
    public SystemAssembly Assembly => assembly;

    public RunSnapshot Snapshot => field ??= RunSnapshot.Of(assembly);

    public IReadOnlyDictionary<string, long> DeadLetters => field ??= assembly.Materials.Facts.DeadLetters();

    public ResourceSample? Resources => field ??= assembly.Materials.Facts.Resources();

    public IReadOnlyList<ComponentHost> Hosts => assembly.Run.Hosts;
}
