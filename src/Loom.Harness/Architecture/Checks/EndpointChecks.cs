using Loom.Core.Settings;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Checks;

/// <summary>Components and ports of bindings exist, point the right way and carry the same class of thing.</summary>
internal static class EndpointChecks
{
    public static void Run(PlacedSystem system, FindingList findings)
    {
        var componentNames = system.ByName.Keys.ToList();
        foreach (var binding in system.Bindings)
        {
            var from = Port(system, binding.Plan.FromComponent, binding.Plan.FromPort, binding.FromNode, input: false, componentNames, findings);
            var to = Port(system, binding.Plan.ToComponent, binding.Plan.ToPort, binding.ToNode, input: true, componentNames, findings);
            if (from is not null && to is not null && !Joins(from.Class, to.Class))
            {
                findings.Error(Codes.PortClass, binding.ToNode,
                    $"{binding.Plan.FromComponent}.{from.Name} carries {Name(from.Class)}, and {binding.Plan.ToComponent}.{to.Name} takes {Name(to.Class)}; bind {Partner(from.Class)}");
            }
        }
    }

    /// <summary>Whether an output of one class may be bound to an input of the other. Errors and metrics may be taken as data, by whoever wants to.</summary>
    public static bool Joins(SemanticClass from, SemanticClass to) => (from, to) is
        (SemanticClass.DataOut, SemanticClass.DataIn)
        or (SemanticClass.ControlOut, SemanticClass.ControlIn)
        or (SemanticClass.MetricsOut, SemanticClass.MetricsIn or SemanticClass.DataIn)
        or (SemanticClass.ErrorOut, SemanticClass.ErrorIn or SemanticClass.DataIn);

    private static PortPlan? Port(PlacedSystem system, string component, string port, YamlNode at, bool input, List<string> names, FindingList findings)
    {
        if (!system.ByName.TryGetValue(component, out var found))
        {
            // Thousands of names help nobody, and comparing with all of them for every binding takes seconds.
            var near = names.Count > 1000 ? null : Nearest.Of(component, names);
            findings.Error(Codes.UnknownComponent, at, $"there is no component \"{component}\"{(near is null ? $"; {Known(names)}" : $"; did you mean \"{near}\"?")}");
            return null;
        }

        if (!found.PortsKnown)
        {
            return null;
        }

        if (found.Plan.Ports.FirstOrDefault(p => p.Name == port && p.IsInput == input) is { } match)
        {
            return match;
        }

        var side = input ? "input" : "output";
        var known = found.Plan.Ports.Where(p => p.IsInput == input).Select(p => p.Name).ToList();
        if (found.Plan.Ports.Any(p => p.Name == port))
        {
            findings.Error(Codes.Direction, at, $"port \"{port}\" of component \"{component}\" is an {(input ? "output" : "input")}; a binding goes from an output to an input ({side}s: {string.Join(", ", known)})");
            return null;
        }

        var close = Nearest.Of(port, known);
        findings.Error(Codes.UnknownPort, at,
            $"component \"{component}\" has no {side} port \"{port}\"; {(close is null ? "" : $"did you mean \"{close}\"? ")}({side}s: {(known.Count == 0 ? "none" : string.Join(", ", known))})");
        return null;
    }

    private static string Known(List<string> names) => names.Count == 0 ? "the system has none" : $"(components: {string.Join(", ", names.Take(20))}{(names.Count > 20 ? ", ..." : "")})";

    private static string Name(SemanticClass of) => OptionKey.NameOf(of.ToString());

    private static string Partner(SemanticClass from) => from switch
    {
        SemanticClass.DataOut => "data_out to data_in",
        SemanticClass.ControlOut => "control_out to control_in",
        SemanticClass.MetricsOut => "metrics_out to metrics_in",
        _ => "error_out to error_in or data_in",
    };
}
