using Loom.Components;
using Loom.Harness.Components.BuiltIns.Web;

namespace Loom.Harness.Execution;

/// <summary>What a component is set up with.</summary>
internal sealed class HostSetupContext(ComponentHost host, RunSurroundings run, List<object> owned) : SetupContext
{
    public override string Name => host.Plan.Name;

    public override string System => run.Plan.Name;

    public override string Directory => run.Plan.Directory;

    public override TimeProvider Time => run.Time;

    public override IComponentMetrics Metrics => host.Loop.Metrics;

    public override bool TakesCheckpoints => host.Loop.Checkpoints is not NoCheckpoints;

    public override bool MayCall(Uri address) => AllowedHosts.Allows(run.Plan.Policy.AllowHosts, address);

    public override T Own<T>(T resource)
    {
        owned.Add(resource);
        return resource;
    }

    public override string ReadPath(string path) => run.Paths.Read(path);

    public override string WritePath(string path) => run.Paths.Write(path);
}
