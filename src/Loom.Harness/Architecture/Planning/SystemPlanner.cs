using System.Text.RegularExpressions;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Deployments;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Planning;

/// <summary>A plan with what the files said before this environment had its word: what a lock is made of.</summary>
/// <param name="Plan">Everything filled in.</param>
/// <param name="Placed">The same with places.</param>
internal sealed record PlannedSystem(SystemPlan Plan, PlacedSystem Placed);

/// <summary>Makes the plan of a whole system of the root of its architecture, and checks it.</summary>
internal sealed partial class SystemPlanner(PlanningContext context)
{
    private readonly FindingList _findings = context.Findings;

    public PlannedSystem Plan(YamlMapping root)
    {
        var keys = new KeyReader(root, "architecture", _findings);
        SchemaVersionText.Check(keys, root, _findings);
        var (name, version, description) = Identity(keys, root);
        var schemas = new SchemaReader(context).Read(keys.Map("schemas"));
        var components = Components(keys, root);
        var byName = components.DistinctBy(c => c.Plan.Name).ToDictionary(c => c.Plan.Name, StringComparer.Ordinal);
        var bindingPlanner = new BindingPlanner(context, byName);
        var bindings = keys.List("bindings").SelectMany(bindingPlanner.Plan).ToList();
        bindingPlanner.TellUnknownOverrides();
        var policyNode = keys.Map("policy");
        var policy = Policy(policyNode);
        keys.Done();
        var placed = new PlacedSystem(root, components, bindings, policy, policyNode);
        var plan = new SystemPlan
        {
            Name = name,
            Version = version,
            Description = description,
            Directory = context.Directory,
            Components = [.. components.Select(c => c.Plan)],
            Bindings = [.. bindings.Select(b => b.Plan)],
            Schemas = schemas,
            Policy = policy,
            Environment = context.Deployment.Variables,
            Secrets = Secrets(policy),
            State = StateReader.Read(context.Deployment.State is { } state ? (YamlMapping)context.Variables.Expand(state, _findings) : null, "state", _findings),
        };
        CommandChecks.Allowed(placed, _findings);
        EndpointChecks.Run(placed, _findings);
        PortChecks.Run(placed, _findings);
        ChainChecks.Run(placed, _findings);
        BindingChecks.Run(placed, schemas, _findings);
        CycleChecks.Run(placed, _findings);
        StateChecks.Run(placed, plan, _findings);
        SecretChecks.Run(placed, plan, _findings);
        DeliveryChecks.Run(placed, plan, context.Settings, _findings);
        return new PlannedSystem(plan, placed);
    }

    [GeneratedRegex("^(0|[1-9][0-9]{0,8})\\.(0|[1-9][0-9]{0,8})\\.(0|[1-9][0-9]{0,8})$", RegexOptions.None, 1000)]
    internal static partial Regex Version();

    private (string Name, string Version, string Description) Identity(KeyReader keys, YamlMapping root)
    {
        if (keys.Node("system") is null)
        {
            _findings.Error(Codes.MissingKey, root, "architecture needs the key \"system\": { name, version }");
            return ("", "0.0.0", "");
        }

        if (keys.Map("system") is not { } map)
        {
            return ("", "0.0.0", "");
        }

        Variables.Refuse(map, _findings);
        var system = new KeyReader(map, "system", _findings);
        var name = system.Required("name", map);
        if (name is not null && !ComponentPlanner.IsName(name))
        {
            _findings.Error(Codes.BadName, system.At("name", map), $"\"{Redaction.Plain(name)}\" is no name of a system; use a-z, 0-9 and _, a letter first");
        }

        var version = system.Text("version") ?? "0.0.0";
        if (!Version().IsMatch(version))
        {
            _findings.Error(Codes.BadVersion, system.At("version", map), $"version {Redaction.Plain(version)} is not x.y.z, such as 1.0.0");
        }

        var description = system.Text("description") ?? "";
        system.Done();
        return (name ?? "", version, description);
    }

    private Dictionary<string, string> Secrets(PolicyPlan policy)
    {
        var secrets = context.Variables.Masked.ToDictionary(StringComparer.Ordinal);
        foreach (var webhook in policy.Webhooks.Where(w => w.Secret is { Length: > 0 } secret && !secrets.ContainsValue(secret)))
        {
            secrets[$"webhook {webhook.Name}"] = webhook.Secret!;
        }

        return secrets;
    }

    private List<PlacedComponent> Components(KeyReader keys, YamlMapping root)
    {
        var planner = new ComponentPlanner(context);
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

            if (planner.Plan(map) is not { } placed)
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

        foreach (var (name, over) in context.Deployment.Components.Where(o => !seen.ContainsKey(o.Key)))
        {
            var near = seen.Count > 1000 ? null : Nearest.Of(name, seen.Keys);
            _findings.Error(Codes.OverrideUnknown, over.Key, $"there is no component \"{Redaction.Plain(name)}\" to override{(near is null ? $" (components: {string.Join(", ", seen.Keys.Take(20))})" : $"; did you mean \"{near}\"?")}");
        }

        return result;
    }

    private PolicyPlan Policy(YamlMapping? node)
    {
        var map = node is null ? null : (YamlMapping)context.Variables.Expand(node, _findings);
        var agreed = PolicyReader.Read(map, _findings);
        if (context.Deployment.Policy is not { } over)
        {
            return agreed;
        }

        over = (YamlMapping)context.Variables.Expand(over, _findings);
        var merged = PolicyReader.Read(map is null ? over : Overlay.Merge(map, over), _findings);
        Tightening.Check(agreed, merged, over, _findings);
        return merged;
    }
}
