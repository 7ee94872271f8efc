using Loom.Components;
using Loom.Harness.Components.BuiltIns.Web;

namespace Loom.Harness.Execution;

/// <summary>What a component is set up with.</summary>
internal sealed class HostSetupContext(ComponentHost host, RunSurroundings run, OwnedResources owned) : SetupContext
{
    public override string Name => host.Plan.Name;

    public override string System => run.Plan.Name;

    public override string Directory => run.Plan.Directory;

    public override TimeProvider Time => run.Time;

    public override IComponentMetrics Metrics => host.Loop.Metrics;

    /// <summary>Metrics of the whole run, for conditions over them.</summary>
    public Telemetry.MetricHistory SystemMetrics => run.Monitor.Metrics;

    public override IAsk Ask(string port) => host.Loop.Outputs.FirstOrDefault(o => o.Plan.Name == port) is AskPort { IsBound: true } ask
        ? ask
        : throw new InvalidOperationException($"output \"{port}\" of \"{Name}\" is bound to nothing that answers; bind it to the input of a store");

    public override T Own<T>(T resource)
    {
        owned.Add(resource);
        return resource;
    }

    public override string ReadPath(string path) => run.Paths.Read(path);

    public override string WritePath(string path) => run.Paths.Write(path);

    public override bool TakesCheckpoints => run.CanReplay;

    public override bool MayCall(Uri address) => AllowedHosts.Allows(run.Plan.Policy.AllowHosts, address);
}
