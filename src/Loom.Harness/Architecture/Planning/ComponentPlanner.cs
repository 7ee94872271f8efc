using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Components;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Deployments;
using Loom.Harness.Architecture.Reading;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components;
using Loom.Harness.Components.Classes;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Planning;

internal enum SchedulerKind
{
    Pool,
    Dedicated,
}

/// <summary>Makes the plan of one component of its entry in the YAML, overrides already merged in.</summary>
internal sealed partial class ComponentPlanner(PlanningContext context)
{
    private static readonly RestartPlan s_restart = new();
    private static readonly JsonElement s_noConfig = YamlJson.Element(null, masked: true);

    /// <summary>How <c>type</c> writes the roles.</summary>
    public static IReadOnlyDictionary<string, ComponentType> Types { get; } =
        Enum.GetValues<ComponentType>().ToDictionary(t => t == ComponentType.ApiEndpoint ? "APIEndpoint" : t.ToString(), StringComparer.Ordinal);

    /// <summary>The role as the YAML writes it.</summary>
    public static string NameOf(ComponentType type) => type == ComponentType.ApiEndpoint ? "APIEndpoint" : type.ToString();

    public static bool IsName(string text) => NamePattern().IsMatch(text);

    /// <summary>The component; null when not even its name can be read.</summary>
    /// <param name="entry">Its entry in the architecture.</param>
    public PlacedComponent? Plan(YamlMapping entry)
    {
        var findings = context.Findings;
        foreach (var part in entry.Entries.Where(e => e.Key.Text != "config"))
        {
            Variables.Refuse(part.Value, findings);
        }

        var over = entry.Find("name") is YamlScalar { Text: var known } && context.Deployment.Components.TryGetValue(known, out var found) ? found.Map : null;
        var map = over is null ? entry : Overlay.Component(entry, over, findings);
        if (new KeyReader(map, "component", findings).Required("name", map) is not { } name)
        {
            return null;
        }

        var nameNode = map.Find("name")!;
        var owner = $"component \"{Redaction.Plain(name)}\"";
        if (!IsName(name))
        {
            findings.Error(Codes.BadName, nameNode, $"\"{Redaction.Plain(name)}\" is no name of a component; use a-z, 0-9 and _, a letter first");
        }

        var keys = new KeyReader(map, owner, findings);
        keys.Node("name");
        var type = Type(keys, map);
        var uses = keys.Node("uses") is { } given ? UsesReader.Read(given, owner, findings) : null;
        if (keys.Node("uses") is null)
        {
            findings.Error(Codes.MissingKey, map, $"{owner} needs the key \"uses\": a built-in, a class or a command");
        }

        var descriptor = uses is null ? null : Descriptor(uses, keys.At("uses", map), owner, type);
        if (type is { } role && descriptor is not null && !Fits(role, descriptor.Type))
        {
            findings.Error(Codes.TypeMismatch, keys.At("type", map), $"{owner} is declared {NameOf(role)}, but {descriptor.Name} is a {NameOf(descriptor.Type)}; write type: {NameOf(descriptor.Type)}");
        }

        var config = keys.Node("config") is { } raw ? context.Variables.Expand(raw, findings) : null;
        var before = findings.ErrorCount;
        var options = descriptor is null ? null : Options(descriptor, config, map, owner);
        var portsKnown = descriptor is not null && findings.ErrorCount == before;
        var ports = Ports(keys, descriptor, options, owner, portsKnown);
        var plan = new ComponentPlan
        {
            Name = name,
            Type = type ?? descriptor?.Type ?? ComponentType.Transformer,
            Uses = uses ?? new UsesPlan(),
            Descriptor = descriptor ?? Unknown(),
            Options = options,
            Config = config is null ? s_noConfig : YamlJson.Element(config, masked: true),
            Ports = ports,
            Concurrency = keys.Int("concurrency", 1, 100_000) ?? descriptor?.Concurrency ?? 1,
            Ordering = keys.Choice<ItemOrder>("ordering") ?? ItemOrder.Strict,
            Dedicated = keys.Choice<SchedulerKind>("scheduler") == SchedulerKind.Dedicated,
            Restart = Restart(keys.Map("restart"), owner),
            State = StateReader.Read(keys.Map("state"), $"state of {owner}", findings),
        };
        plan = Batching(plan, keys, map, owner);
        plan = plan with { Capabilities = new ChainPlanner(findings, context.Classes).Plan(plan, keys.Node("capabilities"), owner) };
        keys.Done();
        if (over is not null && portsKnown)
        {
            PortsStay(descriptor!, entry, over, ports, owner);
        }

        return new PlacedComponent(plan, map, nameNode, portsKnown, Agreed(entry, over, plan, owner));
    }

    private AgreedComponent Agreed(YamlMapping entry, YamlMapping? over, ComponentPlan plan, string owner) =>
        new(entry.Find("config"), over?.Find("capabilities") is null ? plan.Capabilities : new ChainPlanner(new FindingList(), context.Classes).Plan(plan, entry.Find("capabilities"), owner));

    // Where ports follow from the config, an override could change the graph.
    private void PortsStay(ComponentDescriptor descriptor, YamlMapping entry, YamlMapping over, PortPlan[] ports, string owner)
    {
        if (over.Find("config") is not { } config || descriptor.Options is not { } type || !typeof(IPortNames).IsAssignableFrom(type))
        {
            return;
        }

        var silent = new FindingList();
        var agreed = entry.Find("config") is { } raw ? context.Variables.Expand(raw, silent) : null;
        if (new OptionsBinder(owner, silent).Bind(type, agreed, entry) is { } options && !descriptor.Ports(options).Select(p => p.Name).SequenceEqual(ports.Select(p => p.Name)))
        {
            context.Findings.Error(Codes.OverridePorts, config, $"this config changes the ports of {owner}; change them in architecture.yaml and lock it");
        }
    }

    private ComponentType? Type(KeyReader keys, YamlMapping map)
    {
        if (keys.Required("type", map) is not { } text)
        {
            return null;
        }

        if (Types.TryGetValue(text, out var type))
        {
            return type;
        }

        if (keys.At("type", map) is YamlScalar scalar)
        {
            keys.NotAmong(scalar, "type", Types.Keys);
        }

        return null;
    }

    private ComponentDescriptor? Descriptor(UsesPlan uses, YamlNode at, string owner, ComponentType? type)
    {
        if (uses.BuiltIn is { } builtIn)
        {
            if (context.Catalog.Find(builtIn) is { } found)
            {
                return found;
            }

            var near = Nearest.Of(builtIn, context.Catalog.All.Select(d => d.Name));
            context.Findings.Error(Codes.UnknownBuiltIn, at,
                $"there is no built-in \"{Redaction.Plain(builtIn)}\"; {(near is null ? "" : $"did you mean \"{near}\"? ")}loom harness components lists them");
            return null;
        }

        if (uses.Command is { } command)
        {
            new CommandChecks(context).Run(command, at, owner);
            return CommandDescriptor.Of(type ?? ComponentType.Transformer);
        }

        return new ClassFinder(context.Classes, context.Findings).Component(uses, at, owner);
    }

    private object? Options(ComponentDescriptor descriptor, YamlNode? config, YamlMapping map, string owner)
    {
        if (descriptor.Options == typeof(JsonElement))
        {
            return YamlJson.Element(config, masked: false);
        }

        if (descriptor.Options is { } options)
        {
            return new OptionsBinder(owner, context.Findings).Bind(options, config, map);
        }

        if (config is YamlMapping { Entries.Count: > 0 } or YamlSequence or YamlScalar)
        {
            context.Findings.Error(Codes.ConfigUnknownKey, config, $"{owner} takes no config; remove it");
        }

        return null;
    }

    private PortPlan[] Ports(KeyReader keys, ComponentDescriptor? descriptor, object? options, string owner, bool known)
    {
        IReadOnlyList<PortPlan> declared = known ? descriptor!.Ports(options) : [];
        return new PortReader(context.Findings, owner).Read(keys.Map("ports"), declared, descriptor?.Class is null && known);
    }

    private RestartPlan Restart(YamlMapping? map, string owner)
    {
        var standard = s_restart;
        if (map is null)
        {
            return standard;
        }

        var keys = new KeyReader(map, $"restart of {owner}", context.Findings);
        var plan = new RestartPlan
        {
            Attempts = keys.Int("attempts", 0, 1_000_000) ?? standard.Attempts,
            Within = keys.Time("within_s", 1, 86_400) ?? standard.Within,
            Backoff = keys.Time("backoff", 0, 3600) ?? standard.Backoff,
            OnExhausted = keys.Choice<OnExhausted>("on_exhausted") ?? standard.OnExhausted,
        };
        keys.Done();
        return plan;
    }

    private ComponentPlan Batching(ComponentPlan plan, KeyReader keys, YamlMapping map, string owner)
    {
        var batching = keys.Map("batching");
        var mode = keys.Choice<ProcessingMode>("processing_mode");
        if (mode == ProcessingMode.Stream && batching is not null)
        {
            context.Findings.Error(Codes.ModeConflict, keys.At("processing_mode", map), $"{owner} has batching beside processing_mode: stream; remove one of them");
        }

        var own = plan.Descriptor.BatchItems;
        var effective = mode ?? (batching is null && own == 0 ? ProcessingMode.Stream : ProcessingMode.Batch);
        if (effective == ProcessingMode.Stream)
        {
            return plan;
        }

        var inner = new KeyReader(batching, $"batching of {owner}", context.Findings);
        var result = new BatchingPlan
        {
            MaxItems = inner.Int("max_items", 1, 1_000_000, "items") ?? (batching is null && own > 0 ? own : context.Settings.MaxItems),
            MaxWait = inner.Time("max_ms", 0.001, 3600) ?? context.Settings.MaxWait,
            MinItems = inner.Int("min_items", 1, 1_000_000, "items") ?? 1,
            ErrorMode = inner.Choice<BatchErrorMode>("error_mode") ?? context.Settings.ErrorMode,
            Relaxed = inner.Choice<BatchOrder>("ordering") == BatchOrder.Relaxed,
            FormingBufferLimit = inner.Int("forming_buffer_limit", 1, 1000, "batches") ?? 2,
        };
        inner.Done();
        return plan with { Mode = effective, Batching = result };
    }

    // A transformer may be declared the model it is used as, and the other way round.
    private static bool Fits(ComponentType role, ComponentType made) =>
        role == made || (role is ComponentType.Model or ComponentType.Transformer && made is ComponentType.Model or ComponentType.Transformer);

    private static ComponentDescriptor Unknown() => new() { Name = "", Type = ComponentType.Transformer, Summary = "", Ports = _ => [] };

    private enum BatchOrder
    {
        Strict,
        Relaxed,
    }

    [GeneratedRegex("^[a-z][a-z0-9_]*$", RegexOptions.None, 1000)]
    private static partial Regex NamePattern();
}
