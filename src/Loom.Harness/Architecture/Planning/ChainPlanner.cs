using System.Reflection;
using Loom.Components;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;
using Loom.Harness.Components;
using Loom.Harness.Components.Classes;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Makes a component's chain: the kernel's capabilities and those that are asked for, in order of execution.</summary>
internal sealed class ChainPlanner(FindingList findings, IClassSource classes)
{
    // What nobody asked for is the same everywhere. Nobody asked for a limit: there is none.
    private static readonly Dictionary<string, CapabilityPlan> s_implied = StandardCapability.All.ToDictionary(
        c => c.Name,
        c => c == StandardCapability.RateLimiter ? Make(c, new NoSettings(), declared: false) with { Options = null } : Make(c, OptionsShape.Of(c.Options).Create(), declared: false),
        StringComparer.Ordinal);

    // Chains of components that ask for nothing: few, and shared by all of them.
    private static readonly Dictionary<(bool Batched, bool Stateful, bool Model), CapabilityPlan[]> s_unasked =
        (from batched in (bool[])[false, true] from stateful in (bool[])[false, true] from model in (bool[])[false, true] select (batched, stateful, model)).ToDictionary(
            k => k,
            k => StandardCapability.All.Where(c => IsImplied(c, k.batched, k.stateful, k.model)).Select(c => s_implied[c.Name]).ToArray());

    /// <summary>The chain.</summary>
    /// <param name="plan">The component, without its chain.</param>
    /// <param name="given">Value of <c>capabilities</c>.</param>
    /// <param name="owner">For messages.</param>
    public IReadOnlyList<CapabilityPlan> Plan(ComponentPlan plan, YamlNode? given, string owner)
    {
        // A source takes no events in, so a chain would have nothing to do there.
        if (given is null && plan.Type == ComponentType.Source)
        {
            return [];
        }

        if (given is null)
        {
            return s_unasked[(plan.Batching is not null, IsStateful(plan), plan.Type == ComponentType.Model)];
        }

        var chain = new Dictionary<string, CapabilityPlan>(StringComparer.Ordinal);
        foreach (var (name, config, at) in Entries(given, owner))
        {
            if (chain.ContainsKey(name))
            {
                findings.Error(Codes.CapabilityTwice, at, $"{owner} has the capability {name} twice; remove one");
                continue;
            }

            var capability = StandardCapability.All.FirstOrDefault(c => c.Name == name) is { } standard ? Declared(standard, config, at, owner) : Own(name, config, at, owner, plan);
            if (capability is not null)
            {
                chain.Add(name, capability);
            }
        }

        foreach (var standard in StandardCapability.All.Where(c => IsImplied(c, plan.Batching is not null, IsStateful(plan), plan.Type == ComponentType.Model) && !chain.ContainsKey(c.Name)))
        {
            chain.Add(standard.Name, s_implied[standard.Name]);
        }

        return [.. chain.Values.OrderBy(c => c.Tier).ThenBy(c => c.Name, StringComparer.Ordinal)];
    }

    private static bool IsStateful(ComponentPlan plan) => plan.Descriptor.StateVersion > 0 || plan.State != new StatePlan();

    private static bool IsImplied(StandardCapability standard, bool batched, bool stateful, bool model) =>
        standard == StandardCapability.Batched ? batched
        : standard == StandardCapability.State ? stateful
        : standard == StandardCapability.LlmProvider ? model
        : standard.Kernel;

    private CapabilityPlan? Declared(StandardCapability standard, YamlMapping? config, YamlNode at, string owner)
    {
        var off = config?.Find("enabled") is YamlScalar { Type: ScalarType.Bool } enabled && !CoreSchema.Bool(enabled.Text) ? enabled : null;
        if (off is not null && standard.Kernel)
        {
            var deployed = off.File != SystemLoader.ArchitectureFile;
            findings.Error(deployed ? Codes.DeploymentKernelOff : Codes.KernelOff, off, $"{owner}: {standard.Name} is a kernel tier; it can be configured, not switched off: remove enabled");
        }

        if (off is not null)
        {
            return null;
        }

        var settings = config is null ? null : new YamlMapping(config.File, config.Line, config.Column, [.. config.Entries.Where(e => e.Key.Text != "enabled")]);
        var options = new OptionsBinder($"capability {standard.Name} of {owner}", findings).Bind(standard.Options, settings, at);
        return options is null ? null : Make(standard, options, declared: true);
    }

    // Named in uses, or standing in the assembly of the component's own class.
    private CapabilityPlan? Own(string name, YamlMapping? config, YamlNode at, string owner, ComponentPlan plan)
    {
        var uses = config?.Find("uses") is { } given ? UsesReader.Read(given, $"capability {Redaction.Plain(name)} of {owner}", findings) : null;
        if (config?.Find("uses") is not null && uses?.Class is null)
        {
            return null;
        }

        var type = uses is not null
            ? new ClassFinder(classes, findings).Capability(uses, at, owner)
            : plan.Descriptor.Class?.Assembly.GetTypes().FirstOrDefault(t => t.GetCustomAttribute<CapabilityAttribute>()?.Name == name && t.IsSubclassOf(typeof(Capability)) && !t.IsAbstract);
        if (type is null)
        {
            if (uses is null)
            {
                Unknown(name, at, owner);
            }

            return null;
        }

        var tier = type.GetCustomAttribute<CapabilityAttribute>()!.Tier;
        if (tier is < 11 or > 89 || StandardCapability.All.Any(c => c.Kernel && c.Tier == tier))
        {
            findings.Error(Codes.Tier, at, $"{owner}: capability {name} has tier {tier}; allowed is 11 to 89 without those of the kernel (20, 25)");
            return null;
        }

        if (config?.Find("enabled") is YamlScalar { Type: ScalarType.Bool } enabled && !CoreSchema.Bool(enabled.Text))
        {
            return null;
        }

        var settings = config is null ? null : new YamlMapping(config.File, config.Line, config.Column, [.. config.Entries.Where(e => e.Key.Text is not ("enabled" or "uses"))]);
        var record = ComponentDescriber.OptionsOf(type);
        if (record is null && settings is { Entries: [var first, ..] })
        {
            findings.Error(Codes.ConfigUnknownKey, first.Key, $"capability {name} of {owner} takes no settings; remove \"{first.Key.Text}\"");
            return null;
        }

        var options = record is null ? null : new OptionsBinder($"capability {name} of {owner}", findings).Bind(record, settings, at);
        return record is not null && options is null
            ? null
            : new CapabilityPlan(name, tier, false, OptionsJson.Element(options ?? new NoSettings()))
            {
                Declared = true, Options = options, Class = type, Uses = uses ?? plan.Uses with { Class = type.FullName },
            };
    }

    private static CapabilityPlan Make(StandardCapability standard, object options, bool declared) =>
        new(standard.Name, standard.Tier, standard.Kernel, OptionsJson.Element(options)) { Declared = declared, Options = options };

    private void Unknown(string name, YamlNode at, string owner)
    {
        var near = Nearest.Of(name, StandardCapability.All.Select(c => c.Name));
        findings.Error(Codes.UnknownCapability, at,
            $"{owner}: there is no capability \"{Redaction.Plain(name)}\"; {(near is null ? "" : $"did you mean \"{near}\"? ")}(capabilities: {string.Join(", ", StandardCapability.All.Select(c => c.Name))})");
    }

    // Each entry is a name, or a map of one name to its settings.
    private IEnumerable<(string Name, YamlMapping? Config, YamlNode At)> Entries(YamlNode? given, string owner)
    {
        if (given is null)
        {
            yield break;
        }

        if (given is not YamlSequence list)
        {
            findings.Error(Codes.WrongType, given, $"{owner}: capabilities is {given.Kind}; write a list such as [ Timeout, {{ Retry: {{ max_attempts: 3 }} }} ]");
            yield break;
        }

        foreach (var item in list.Items)
        {
            switch (item)
            {
                case YamlScalar { Type: ScalarType.Text } name:
                    yield return (name.Text, null, name);
                    break;
                case YamlMapping { Entries: [{ Value: YamlMapping config } only] }:
                    yield return (only.Key.Text, config, only.Key);
                    break;
                case YamlMapping { Entries: [{ Value: YamlScalar { Type: ScalarType.Null } } only] }:
                    yield return (only.Key.Text, null, only.Key);
                    break;
                default:
                    findings.Error(Codes.WrongType, item, $"a capability of {owner} is {item.Kind}; write its name, or {{ NAME: {{ settings }} }}");
                    break;
            }
        }
    }
}
