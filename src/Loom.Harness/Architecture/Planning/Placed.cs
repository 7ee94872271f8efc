using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>A component and where it stands, for the checks of the graph.</summary>
/// <param name="Plan">What was made of it.</param>
/// <param name="Node">The whole entry.</param>
/// <param name="NameNode">Its name.</param>
/// <param name="PortsKnown">False when an error hides its ports, so that no second error is made of the first.</param>
/// <param name="Agreed">Its config and chain before this environment had its word.</param>
internal sealed record PlacedComponent(ComponentPlan Plan, YamlMapping Node, YamlNode NameNode, bool PortsKnown, AgreedComponent Agreed)
{
    public PortPlan? Port(string name) => Plan.Ports.FirstOrDefault(p => p.Name == name);
}

/// <summary>The part of a component that a lock holds, as the architecture alone gives it: without overrides, variables unreplaced.</summary>
internal sealed record AgreedComponent(YamlNode? Config, IReadOnlyList<CapabilityPlan> Chain);

/// <summary>A binding and where it stands.</summary>
/// <param name="Plan">What was made of it.</param>
/// <param name="Node">The whole entry; several plans share one where a binding has several targets.</param>
/// <param name="FromNode">Where its source is named.</param>
/// <param name="ToNode">Where its target is named.</param>
internal sealed record PlacedBinding(BindingPlan Plan, YamlMapping Node, YamlNode FromNode, YamlNode ToNode);

/// <summary>Everything that was read, before it is known to be right.</summary>
internal sealed record PlacedSystem(YamlMapping Root, IReadOnlyList<PlacedComponent> Components, IReadOnlyList<PlacedBinding> Bindings, PolicyPlan Policy, YamlNode? PolicyNode)
{
    public Dictionary<string, PlacedComponent> ByName { get; } = Components.DistinctBy(c => c.Plan.Name).ToDictionary(c => c.Plan.Name, StringComparer.Ordinal);
}
