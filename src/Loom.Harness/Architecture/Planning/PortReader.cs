using System.Text.Json;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Reads <c>ports</c>: refinements of what a built-in or a class declares, or all ports of a command.</summary>
internal sealed class PortReader(FindingList findings, string owner)
{
    /// <summary>The component's ports.</summary>
    /// <param name="ports">The YAML's word; null when there is none.</param>
    /// <param name="declared">What the component declares itself.</param>
    /// <param name="isCommand">The YAML declares the ports, instead of refining them.</param>
    public PortPlan[] Read(YamlMapping? ports, IReadOnlyList<PortPlan> declared, bool isCommand)
    {
        var result = declared.ToList();
        if (ports is null)
        {
            return [.. result];
        }

        var keys = new KeyReader(ports, $"ports of {owner}", findings);
        foreach (var (key, input) in new[] { ("inputs", true), ("outputs", false) })
        {
            foreach (var entry in keys.List(key))
            {
                if (entry is YamlMapping map)
                {
                    One(map, input, result, isCommand);
                }
                else
                {
                    findings.Error(Codes.WrongType, entry, $"a port of {owner} is {entry.Kind}; write {{ name: ... }}");
                }
            }
        }

        keys.Done();
        return [.. result];
    }

    private void One(YamlMapping map, bool input, List<PortPlan> ports, bool isCommand)
    {
        var keys = new KeyReader(map, $"port of {owner}", findings);
        if (keys.Required("name", map) is not { } name)
        {
            return;
        }

        var at = ports.FindIndex(p => p.Name == name && p.IsInput == input);
        if (isCommand && !ComponentPlanner.IsName(name))
        {
            findings.Error(Codes.BadName, keys.At("name", map), $"\"{name}\" is no name of a port; use a-z, 0-9 and _, a letter first");
        }

        if (at < 0 && !isCommand)
        {
            findings.Error(Codes.PortContradicted, keys.At("name", map),
                $"{owner} has no {(input ? "input" : "output")} port \"{name}\"; ports of built-ins and classes are refined here, not added ({(input ? "inputs" : "outputs")}: {string.Join(", ", ports.Where(p => p.IsInput == input).Select(p => p.Name))})");
            return;
        }

        if (at < 0)
        {
            at = ports.Count;
            ports.Add(new PortPlan { Name = name, Class = input ? SemanticClass.DataIn : SemanticClass.DataOut, Data = typeof(JsonElement), Required = input });
        }

        ports[at] = Refine(ports[at], keys, map, isCommand);
        keys.Done();
    }

    private PortPlan Refine(PortPlan port, KeyReader keys, YamlMapping map, bool isCommand)
    {
        if (keys.Choice<SemanticClass>("semantic_class") is { } semantic && semantic != port.Class)
        {
            var asInput = new PortPlan { Name = port.Name, Class = semantic, Data = port.Data }.IsInput;
            if (!isCommand || asInput != port.IsInput)
            {
                findings.Error(Codes.PortContradicted, keys.At("semantic_class", map),
                    $"port \"{port.Name}\" of {owner} is {Components.Options.OptionKey.NameOf(port.Class.ToString())}; the YAML may refine that, not contradict it");
            }

            port = port with { Class = semantic, Required = semantic == SemanticClass.DataIn };
        }

        var schema = new KeyReader(keys.Map("data_schema"), $"data_schema of port \"{port.Name}\"", findings);
        var distribution = new KeyReader(keys.Map("distribution"), $"distribution of port \"{port.Name}\"", findings);
        port = port with
        {
            Required = keys.Bool("required", port.Required),
            Flow = keys.Choice<FlowType>("flow_type") ?? port.Flow,
            FanIn = keys.Choice<FanIn>("fan_in") ?? port.FanIn,
            SchemaId = schema.Text("id") ?? port.SchemaId,
            SchemaVersion = schema.Text("version") ?? port.SchemaVersion,
            Distribution = distribution.Choice<Distribution>("mode") ?? port.Distribution,
            DistributionKey = ExpressionText.Read(distribution, "key", null, $"distribution of port \"{port.Name}\"", findings) ?? port.DistributionKey,
            MatchAll = distribution.Choice<Match>("match") == Match.All || port.MatchAll,
        };
        schema.Done();
        distribution.Done();
        return port;
    }

    private enum Match
    {
        First,
        All,
    }
}
