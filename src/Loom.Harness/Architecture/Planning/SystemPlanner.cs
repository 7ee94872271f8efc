using System.Text.RegularExpressions;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Makes the plan of a whole system of the root of its architecture.</summary>
internal sealed partial class SystemPlanner(PlanningContext context)
{
    private readonly FindingList _findings = context.Findings;

    public SystemPlan Plan(YamlMapping root)
    {
        var keys = new KeyReader(root, "architecture", _findings);
        SchemaVersionText.Check(keys, root, _findings);
        var system = new KeyReader(keys.Map("system"), "system", _findings);
        var name = keys.Node("system") is YamlMapping systemMap ? Name(system, systemMap) : Missing(keys, root);
        var version = system.Text("version") ?? "0.0.0";
        var description = system.Text("description") ?? "";
        system.Done();
        var components = Components(keys, root);
        var byName = components.DistinctBy(c => c.Plan.Name).ToDictionary(c => c.Plan.Name, StringComparer.Ordinal);
        var bindings = keys.List("bindings").SelectMany(new BindingPlanner(context, byName).Plan).ToList();
        var policyNode = keys.Map("policy");
        var policy = PolicyReader.Read(policyNode is null ? null : (YamlMapping)context.Variables.Expand(policyNode, _findings), _findings);
        keys.Node("schemas");
        keys.Done();
        var placed = new PlacedSystem(root, components, bindings, policy, policyNode);
        EndpointChecks.Run(placed, _findings);
        return new SystemPlan
        {
            Name = name ?? "",
            Version = version,
            Description = description,
            Directory = context.Directory,
            Components = [.. components.Select(c => c.Plan)],
            Bindings = [.. bindings.Select(b => b.Plan)],
            Policy = policy,
        };
    }

    private List<PlacedComponent> Components(KeyReader keys, YamlMapping root)
    {
        var assembler = new ComponentPlanner(context);
        var result = new List<PlacedComponent>();
        var seen = new Dictionary<string, YamlNode>(StringComparer.Ordinal);
        if (keys.Node("components") is null)
        {
            _findings.Error(Codes.MissingKey, root, "architecture needs the key \"components\": a list of what the system is made of");
        }

        foreach (var entry in keys.List("components"))
        {
            if (entry is not YamlMapping map)
            {
                _findings.Error(Codes.WrongType, entry, $"a component is {entry.Kind}; write {{ name, type, uses }}");
                continue;
            }

            foreach (var part in map.Entries.Where(e => e.Key.Text != "config"))
            {
                Variables.Refuse(part.Value, _findings);
            }

            if (assembler.Plan(map, map.Find("config")) is not { } placed)
            {
                continue;
            }

            if (!seen.TryAdd(placed.Plan.Name, placed.NameNode))
            {
                _findings.Error(Codes.DuplicateComponent, placed.NameNode,
                    $"there are two components \"{Redaction.Plain(placed.Plan.Name)}\" (the first at line {seen[placed.Plan.Name].Line}); give one another name");
                continue;
            }

            result.Add(placed);
        }

        return result;
    }

    private string? Name(KeyReader system, YamlMapping map)
    {
        var name = system.Required("name", map);
        if (name is not null && !ComponentPlanner.IsName(name))
        {
            _findings.Error(Codes.BadName, system.At("name", map), $"\"{Redaction.Plain(name)}\" is no name of a system; use a-z, 0-9 and _, a letter first");
        }

        var version = system.Text("version");
        if (version is not null && !Version().IsMatch(version))
        {
            _findings.Error(Codes.BadVersion, system.At("version", map), $"version {Redaction.Plain(version)} is not x.y.z, such as 1.0.0");
        }

        return name;
    }

    private string? Missing(KeyReader keys, YamlMapping root)
    {
        if (keys.Node("system") is null)
        {
            _findings.Error(Codes.MissingKey, root, "architecture needs the key \"system\": { name, version }");
        }

        return null;
    }

    [GeneratedRegex("^(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)\\.(0|[1-9][0-9]*)$", RegexOptions.None, 1000)]
    internal static partial Regex Version();
}
