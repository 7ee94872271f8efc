using Loom.Components;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Checks;

/// <summary>Ports of components against their role and against the bindings: what must be bound, what is bound to nothing, how outputs are shared.</summary>
internal static class PortChecks
{
    public static void Run(PlacedSystem system, FindingList findings)
    {
        var incoming = system.Bindings.ToLookup(b => (b.Plan.ToComponent, b.Plan.ToPort));
        var outgoing = system.Bindings.ToLookup(b => (b.Plan.FromComponent, b.Plan.FromPort));

        // A binding to a misspelled port is told as that; its port would only be told a second time.
        var misspelled = system.Bindings.Where(b => system.ByName.GetValueOrDefault(b.Plan.ToComponent)?.Port(b.Plan.ToPort) is not { IsInput: true }).Select(b => b.Plan.ToComponent).ToHashSet(StringComparer.Ordinal);
        foreach (var component in system.Components.Where(c => c.PortsKnown))
        {
            Role(component, findings);
            foreach (var port in component.Plan.Ports)
            {
                var key = (component.Plan.Name, port.Name);
                if (port.IsInput)
                {
                    Input(component, port, [.. incoming[key]], misspelled.Contains(component.Plan.Name), findings);
                }
                else
                {
                    Output(system, component, port, [.. outgoing[key]], findings);
                }
            }
        }
    }

    private static void Role(PlacedComponent component, FindingList findings)
    {
        var (plan, ports) = (component.Plan, component.Plan.Ports);
        var wrong = plan.Type switch
        {
            ComponentType.Source when ports.Any(p => p.Class == SemanticClass.DataIn) => "a Source has no data_in port",
            ComponentType.Sink when ports.Any(p => p.Class == SemanticClass.DataOut) => "a Sink has no data_out port",
            ComponentType.Controller when ports.Any(p => p.Class is SemanticClass.DataIn or SemanticClass.DataOut) => "a Controller has metrics and control ports only",
            ComponentType.Transformer or ComponentType.Model when ports.Count(p => p.Class == SemanticClass.DataIn) != 1 => $"a {plan.Type} has one data_in port",
            ComponentType.Router when ports.Count(p => p.Class == SemanticClass.DataIn) != 1 || ports.All(p => p.Class != SemanticClass.DataOut) => "a Router has one data_in port and data_out ports",
            _ => null,
        };
        if (plan is { Concurrency: > 1, Descriptor.OneAtATime: true })
        {
            findings.Error(Codes.TypeRule, component.Node.Find("concurrency") ?? component.NameNode,
                $"component \"{plan.Name}\": {plan.Descriptor.Name} keeps state and handles one event at a time; leave concurrency out, or part the events by key over several such components");
        }

        if (wrong is not null && plan.Uses.Command is not null && ports.All(p => p.Class is not (SemanticClass.DataIn or SemanticClass.DataOut)))
        {
            findings.Error(Codes.CommandPorts, component.NameNode,
                $"component \"{plan.Name}\" is a command and lists no data ports; add ports: {{ inputs: [ {{ name: in }} ], outputs: [ {{ name: out }} ] }} as its role asks");
        }
        else if (wrong is not null)
        {
            findings.Error(Codes.TypeRule, component.NameNode, $"component \"{plan.Name}\": {wrong}; change its type or its ports");
        }
    }

    private static void Input(PlacedComponent component, PortPlan port, List<PlacedBinding> bindings, bool misspelled, FindingList findings)
    {
        if (port.Required && bindings.Count == 0 && !misspelled)
        {
            findings.Error(Codes.Unbound, component.NameNode, $"input {component.Plan.Name}.{port.Name} is required and bound to nothing; add {{ from: component.port, to: {component.Plan.Name}.{port.Name} }}");
        }

        foreach (var binding in bindings.Where(b => b.Plan.Priority != 0 && port.FanIn != FanIn.Priority))
        {
            findings.Error(Codes.FanOut, binding.Node.Find("priority") ?? binding.Node,
                $"priority is read only where the target's fan_in is priority; {component.Plan.Name}.{port.Name} has {OptionKey.NameOf(port.FanIn.ToString())}");
        }
    }

    private static void Output(PlacedSystem system, PlacedComponent component, PortPlan port, List<PlacedBinding> bindings, FindingList findings)
    {
        if (bindings.Count == 0)
        {
            if (port is { Flow: FlowType.RequestResponse, Required: true })
            {
                findings.Error(Codes.Unbound, component.NameNode, $"output {component.Plan.Name}.{port.Name} asks and is bound to nothing that answers; add {{ from: {component.Plan.Name}.{port.Name}, to: store.in }}");
            }
            else if (port.Class == SemanticClass.DataOut && port.Flow != FlowType.RequestResponse)
            {
                findings.Warning(Codes.OutputUnbound, component.NameNode, $"output {component.Plan.Name}.{port.Name} is bound to nothing; its events are counted as unbound");
            }

            return;
        }

        Sharing(component, port, bindings, findings);
        var targets = bindings.Select(b => (Binding: b, Port: system.ByName.GetValueOrDefault(b.Plan.ToComponent)?.Port(b.Plan.ToPort))).Where(t => t.Port is not null).ToList();
        if (port.Distribution == Distribution.Broadcast && port.Class == SemanticClass.DataOut && targets.Any(t => t.Port!.Required) && targets.FirstOrDefault(t => !t.Port!.Required) is { Binding: { } optional })
        {
            findings.Warning(Codes.MixedBroadcast, optional.ToNode,
                $"{component.Plan.Name}.{port.Name} broadcasts to required and optional inputs; the slowest governs, also an optional one");
        }
    }

    private static void Sharing(PlacedComponent component, PortPlan port, List<PlacedBinding> bindings, FindingList findings)
    {
        var name = $"{component.Plan.Name}.{port.Name}";
        if (port.Distribution == Distribution.PartitionHash && port.DistributionKey is null)
        {
            findings.Error(Codes.FanOut, component.NameNode, $"{name} distributes by partition_hash without a key; add distribution: {{ mode: partition_hash, key: $.id }}");
        }

        foreach (var binding in bindings)
        {
            if (port.Distribution == Distribution.Conditional && binding.Plan.Condition is null && binding.Node.Find("condition") is null)
            {
                findings.Error(Codes.FanOut, binding.Node, $"{name} distributes by condition, and this binding has none; add condition: an expression, or condition: default for the rest");
            }
            else if (port.Distribution != Distribution.Conditional && binding.Node.Find("condition") is { } condition)
            {
                findings.Error(Codes.FanOut, condition, $"condition is read only where the output's distribution is conditional; {name} has {OptionKey.NameOf(port.Distribution.ToString())}");
            }

            if (port.Distribution != Distribution.Weighted && binding.Node.Find("weight") is { } weight)
            {
                findings.Error(Codes.FanOut, weight, $"weight is read only where the output's distribution is weighted; {name} has {OptionKey.NameOf(port.Distribution.ToString())}");
            }
        }

        foreach (var second in bindings.Where(b => b.Plan.Condition == "default").Skip(1))
        {
            findings.Error(Codes.FanOut, second.Node.Find("condition") ?? second.Node, $"{name} has a binding with condition: default already; only one can take the rest");
        }

        // The first one whose condition holds takes the event.
        foreach (var same in port.MatchAll ? [] : bindings.Where(b => b.Plan.Condition is not (null or "default")).GroupBy(b => b.Plan.Condition, StringComparer.Ordinal))
        {
            foreach (var later in same.Skip(1))
            {
                findings.Warning(Codes.FanOut, later.Node.Find("condition") ?? later.Node,
                    $"{later.Plan.Name} gets nothing: the first binding whose condition holds takes the event, and {same.First().Plan.Name} has the same; write another condition, or distribution: {{ mode: conditional, match: all }}");
            }
        }
    }
}
