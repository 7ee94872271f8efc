using Loom.Harness.Architecture.Guarantees;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Checks;

/// <summary><c>policy.delivery</c> is a requirement: every path from a source to a sink must keep it.</summary>
internal static class DeliveryChecks
{
    public static void Run(PlacedSystem system, SystemPlan plan, HarnessOptions settings, FindingList findings)
    {
        // A graph with errors has no paths worth judging.
        if (plan.Policy.Delivery is Delivery.Unset or Delivery.AtMostOnce || findings.HasErrors)
        {
            return;
        }

        YamlNode at = system.PolicyNode is YamlMapping map ? map.Find("delivery") ?? map : system.Root;
        foreach (var path in GuaranteeRules.Of(plan, settings.StateAdapter).Where(p => p.Delivery < plan.Policy.Delivery))
        {
            findings.Error(Codes.Delivery, at, $"{OptionKey.NameOf(plan.Policy.Delivery.ToString())} is not attainable from {path.Source} to {path.Sink}: {path.WeakestLink}");
        }
    }
}
