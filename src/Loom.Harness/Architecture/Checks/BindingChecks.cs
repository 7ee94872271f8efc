using Loom.Harness.Architecture.Planning;
using Loom.Harness.Components;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Checks;

/// <summary>What both ends of a binding must agree on: schema, payload type, way of flowing; and what a binding may do under the policy.</summary>
internal static class BindingChecks
{
    public static void Run(PlacedSystem system, IReadOnlyDictionary<string, SchemaPlan> schemas, FindingList findings)
    {
        foreach (var component in system.Components)
        {
            Schemas(component, schemas, findings);
        }

        var names = new Dictionary<string, PlacedBinding>(StringComparer.Ordinal);
        var pairs = new HashSet<(string, string, string, string)>();
        foreach (var binding in system.Bindings)
        {
            var plan = binding.Plan;
            if (!pairs.Add((plan.FromComponent, plan.FromPort, plan.ToComponent, plan.ToPort)))
            {
                findings.Error(Codes.DuplicateBinding, binding.ToNode, $"{plan.FromComponent}.{plan.FromPort} is bound to {plan.ToComponent}.{plan.ToPort} twice; every event would arrive twice: remove one");
            }
            else if (!names.TryAdd(plan.Name, binding))
            {
                findings.Error(Codes.DuplicateBinding, binding.Node.Find("name") ?? binding.Node, $"there are two bindings \"{plan.Name}\" (the first at line {names[plan.Name].Node.Line}); give one another name");
            }

            if (plan.Overflow is OverflowRule.DropOldest or OverflowRule.DropNewest or OverflowRule.Fail && system.Policy.Delivery >= Delivery.AtLeastOnce)
            {
                findings.Error(Codes.Overflow, binding.Node.Find("overflow") ?? binding.Node,
                    $"overflow {OptionKey.NameOf(plan.Overflow.ToString())} drops events, which policy.delivery: {OptionKey.NameOf(system.Policy.Delivery.ToString())} forbids; write block or spill");
            }

            if (system.ByName.TryGetValue(plan.FromComponent, out var from) && system.ByName.TryGetValue(plan.ToComponent, out var to)
                && from.PortsKnown && to.PortsKnown && from.Port(plan.FromPort) is { IsInput: false } source && to.Port(plan.ToPort) is { IsInput: true } target)
            {
                Ends(binding, source, target, findings);
            }
        }
    }

    private static void Schemas(PlacedComponent component, IReadOnlyDictionary<string, SchemaPlan> schemas, FindingList findings)
    {
        foreach (var port in component.Plan.Ports.Where(p => p.SchemaId is not null))
        {
            if (!schemas.TryGetValue(port.SchemaId!, out var schema))
            {
                var near = Loom.Core.Settings.Nearest.Of(port.SchemaId!, schemas.Keys);
                findings.Error(Codes.UnknownSchema, component.NameNode,
                    $"port {component.Plan.Name}.{port.Name} names the schema \"{port.SchemaId}\", which is not declared; {(near is null ? "" : $"did you mean \"{near}\"? ")}(schemas: {(schemas.Count == 0 ? "none" : string.Join(", ", schemas.Keys))})");
            }
            else if (port.SchemaVersion is { } version && !SystemPlanner.Version().IsMatch(version))
            {
                findings.Error(Codes.BadVersion, component.NameNode, $"port {component.Plan.Name}.{port.Name} has schema version {version}, which is not x.y.z");
            }
            else if (port.SchemaVersion is { } asked && !Covers(schema.Version, asked))
            {
                findings.Error(Codes.UnknownSchema, component.NameNode,
                    $"port {component.Plan.Name}.{port.Name} names schema {port.SchemaId} {asked}, and {schema.Version} is declared; write a version of the same major that is not above it");
            }
        }
    }

    private static void Ends(PlacedBinding binding, PortPlan source, PortPlan target, FindingList findings)
    {
        if (source.SchemaId is { } produced && target.SchemaId is { } consumed)
        {
            var (made, wanted) = (source.SchemaVersion ?? "1.0.0", target.SchemaVersion ?? "1.0.0");
            if (produced != consumed)
            {
                findings.Error(Codes.SchemaVersion, binding.ToNode, $"{binding.Plan.FromComponent}.{source.Name} carries schema {produced}, and {binding.Plan.ToComponent}.{target.Name} takes {consumed}; put a map between them, or use one schema");
            }
            else if (SystemPlanner.Version().IsMatch(made) && SystemPlanner.Version().IsMatch(wanted) && !Covers(made, wanted))
            {
                findings.Error(Codes.SchemaVersion, binding.ToNode,
                    $"{binding.Plan.FromComponent}.{source.Name} carries {produced} {made}, and {binding.Plan.ToComponent}.{target.Name} needs {wanted}: the same major and not above the producer's; raise the producer or lower the consumer");
            }
        }

        if (source.Flow != target.Flow)
        {
            findings.Error(Codes.FlowType, binding.ToNode,
                $"{binding.Plan.FromComponent}.{source.Name} is {OptionKey.NameOf(source.Flow.ToString())}, and {binding.Plan.ToComponent}.{target.Name} is {OptionKey.NameOf(target.Flow.ToString())}; both ends need the same flow_type");
        }

        if (source.Flow == FlowType.RequestResponse && (binding.Plan.Overflow != OverflowRule.Block || binding.Plan.TimeToLive is not null || binding.Plan.Feedback))
        {
            findings.Error(Codes.Overflow, binding.Node.Find("overflow") ?? binding.Node.Find("qos") ?? binding.Node.Find("feedback") ?? binding.Node,
                $"{binding.Plan.Name} carries requests: they are bounded by buffer and timeout_ms; remove overflow, qos and feedback");
        }

        if (JsonConversion.Between(source.Data, target.Data) is { IsPossible: false } conversion)
        {
            findings.Error(Codes.NoConversion, binding.ToNode, $"{binding.Plan.FromComponent}.{source.Name} carries {source.Data.Name}, and {binding.Plan.ToComponent}.{target.Name} takes {target.Data.Name}: {conversion.Reason}");
        }
    }

    // Same major, and not below.
    private static bool Covers(string producer, string consumer) =>
        Version.Parse(producer) is var made && Version.Parse(consumer) is var wanted && made.Major == wanted.Major && made >= wanted;
}
