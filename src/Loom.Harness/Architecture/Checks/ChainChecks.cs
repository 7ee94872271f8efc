using Loom.Harness.Architecture.Chains;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Checks;

/// <summary>A capability that wraps the handler needs a handler the harness calls.</summary>
internal static class ChainChecks
{
    public static void Run(PlacedSystem system, FindingList findings)
    {
        foreach (var component in system.Components.Where(c => c.PortsKnown && c.Plan.Ports.All(p => p.Class != SemanticClass.DataIn)))
        {
            foreach (var capability in component.Plan.Capabilities.Where(c => c.Declared && c.Name != StandardCapability.Metrics.Name && c.Name != StandardCapability.State.Name))
            {
                findings.Error(Codes.NoChain, component.Node.Find("capabilities") ?? component.NameNode,
                    $"component \"{component.Plan.Name}\" has no data input, so {capability.Name} has no events to act on; put it on the component behind it");
            }
        }

        foreach (var component in system.Components.Where(c => c.PortsKnown && !c.Plan.Descriptor.ExecutesChain && c.Plan.Ports.Any(p => p.Class == SemanticClass.DataIn)))
        {
            foreach (var capability in component.Plan.Capabilities.Where(c => c.Declared && StandardCapability.All.Any(s => s.Name == c.Name && s.Around)))
            {
                YamlNode at = component.Node.Find("capabilities") ?? component.NameNode;
                findings.Error(Codes.NoChain, at,
                    $"component \"{component.Plan.Name}\" has a loop of its own, so {capability.Name} has no handler to wrap; remove it, or derive from a base whose loop the harness runs");
            }
        }
    }
}
