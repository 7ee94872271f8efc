using System.Globalization;
using Loom.Harness.Architecture.Planning;

namespace Loom.Harness.Architecture.Checks;

/// <summary>Checkpoints are taken of the whole system at once, so the smallest interval anybody asks for holds for all.</summary>
internal static class StateChecks
{
    public static void Run(PlacedSystem system, SystemPlan plan, FindingList findings)
    {
        var asked = system.Components.Where(c => c.Plan.State.CheckpointInterval is not null).ToList();
        var smallest = asked.Select(c => c.Plan.State.CheckpointInterval).Append(plan.State.CheckpointInterval).Min();
        foreach (var component in asked.Where(c => c.Plan.State.CheckpointInterval > smallest))
        {
            var at = (component.Node.Find("state") as Yaml.YamlMapping)?.Find("checkpoint_interval_s") ?? component.NameNode;
            findings.Warning(Codes.Interval, at, string.Create(CultureInfo.InvariantCulture,
                $"checkpoints are taken of the whole system, every {smallest!.Value.TotalSeconds} s, the smallest interval asked for; remove this one"));
        }
    }
}
