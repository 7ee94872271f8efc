using Loom.Components;
using Loom.Core.Settings;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Components.Classes;

/// <summary>Finds a user's class and judges whether the harness can run it.</summary>
internal sealed class ClassFinder(IClassSource source, FindingList findings)
{
    /// <summary>What is known of a component's class; null after an error.</summary>
    public ComponentDescriptor? Component(UsesPlan uses, YamlNode at, string owner)
    {
        if (Find(uses, at, owner) is not { } type)
        {
            return null;
        }

        if (!type.IsSubclassOf(typeof(Component)) || type.IsAbstract)
        {
            findings.Error(Codes.NotAComponent, at, $"{owner}: {type.FullName} {(type.IsAbstract ? "is abstract" : "derives from no base of Loom.Components")}; derive from Source, Transformer, StreamProcessor, Accumulator, Router or Sink");
            return null;
        }

        var descriptor = ComponentDescriber.Describe(type);
        if (!Services(type, descriptor.Options, at, owner))
        {
            return null;
        }

        if (!descriptor.ExecutesChain && !type.IsDefined(typeof(InputAttribute), true) && !type.IsDefined(typeof(OutputAttribute), true))
        {
            findings.Error(Codes.PortType, at, $"{owner}: {type.Name} has a loop of its own and declares no port; add [Input(\"in\", typeof(...))] or [Output(\"out\", typeof(...))]");
            return null;
        }

        return descriptor;
    }

    /// <summary>A capability's class by its full name, in the home that <paramref name="uses"/> names; null after an error.</summary>
    public Type? Capability(UsesPlan uses, YamlNode at, string owner)
    {
        if (Find(uses, at, owner) is not { } type)
        {
            return null;
        }

        if (!type.IsSubclassOf(typeof(Capability)) || type.IsAbstract || !type.IsDefined(typeof(CapabilityAttribute), false))
        {
            findings.Error(Codes.NotAComponent, at, $"{owner}: {type.FullName} is no capability; derive from Capability and give it [Capability(name, tier)]");
            return null;
        }

        return Services(type, ComponentDescriber.OptionsOf(type), at, owner) ? type : null;
    }

    private Type? Find(UsesPlan uses, YamlNode at, string owner)
    {
        var home = source.Open(uses);
        if (home.Types is not { } types)
        {
            findings.Error(home.Code, at, $"{owner}: {home.Problem}");
            return null;
        }

        var name = uses.Class!;
        if (types.FirstOrDefault(t => t.FullName == name) is { } exact)
        {
            return exact;
        }

        if (types.Where(t => t.Name == name && t.IsVisible).ToList() is [var only])
        {
            return only;
        }

        var candidates = types.Where(t => t.IsSubclassOf(typeof(Component)) || t.IsSubclassOf(typeof(Capability))).Select(t => t.FullName!).ToList();
        var near = Nearest.Of(name, candidates);
        findings.Error(Codes.ClassNotFound, at,
            $"{owner}: there is no class {Redaction.Plain(name)} in {uses.Project ?? uses.Assembly}; {(near is null ? "" : $"did you mean {near}? ")}(classes: {(candidates.Count == 0 ? "none" : string.Join(", ", candidates.Take(20)))})");
        return null;
    }

    private bool Services(Type type, Type? options, YamlNode at, string owner)
    {
        var asked = ComponentDescriber.ConstructorOf(type).GetParameters().FirstOrDefault(p => p.ParameterType != options && !ComponentFactory.IsOffered(p.ParameterType) && !p.HasDefaultValue);
        if (asked is null)
        {
            return true;
        }

        findings.Error(Codes.Service, at, $"{owner}: the constructor of {type.Name} asks for {asked.ParameterType.Name} {asked.Name}, which is not there; known are its options first, then {ComponentFactory.Offered}");
        return false;
    }
}
