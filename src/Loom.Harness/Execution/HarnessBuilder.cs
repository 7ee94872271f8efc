using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Chains;
using Loom.Harness.Components;

namespace Loom.Harness.Execution;

/// <summary>Makes a plan in code, for benchmarks and tests: components as instances or makers, bindings as <c>component.port</c>.</summary>
internal sealed class HarnessBuilder(string name)
{
    private readonly List<ComponentPlan> _components = [];
    private readonly List<BindingPlan> _bindings = [];
    private readonly Dictionary<string, Func<Component>> _makers = new(StringComparer.Ordinal);

    /// <summary>Adds a component.</summary>
    /// <param name="component">Its name.</param>
    /// <param name="make">Makes an instance, also after a restart.</param>
    /// <param name="shape">Changes the plan that follows from its class.</param>
    public HarnessBuilder Add<T>(string component, Func<T> make, Func<ComponentPlan, ComponentPlan>? shape = null)
        where T : Component
    {
        var descriptor = ComponentDescriber.Describe(typeof(T));
        var plan = new ComponentPlan
        {
            Name = component,
            Type = descriptor.Type,
            Uses = new UsesPlan { Class = typeof(T).FullName },
            Descriptor = descriptor,
            Ports = descriptor.Ports(null),
        };
        _components.Add(shape?.Invoke(plan) ?? plan);
        _makers[component] = make;
        return this;
    }

    /// <summary>Binds an output to an input.</summary>
    public HarnessBuilder Bind(string from, string to, Func<BindingPlan, BindingPlan>? shape = null)
    {
        var (fromComponent, fromPort) = Split(from);
        var (toComponent, toPort) = Split(to);
        var binding = new BindingPlan { Name = $"{from}->{to}", FromComponent = fromComponent, FromPort = fromPort, ToComponent = toComponent, ToPort = toPort };
        _bindings.Add(shape?.Invoke(binding) ?? binding);
        return this;
    }

    /// <summary>A capability with settings, for the shape of a component.</summary>
    public static CapabilityPlan Capability(StandardCapability standard, object? options = null) =>
        new(standard.Name, standard.Tier, standard.Kernel, default) { Declared = true, Options = options };

    public SystemPlan Plan(string directory) => new() { Name = name, Version = "1.0.0", Directory = directory, Components = _components, Bindings = _bindings };

    public Component Create(ComponentPlan plan) => _makers[plan.Name]();

    private static (string Component, string Port) Split(string end)
    {
        var dot = end.IndexOf('.', StringComparison.Ordinal);
        return (end[..dot], end[(dot + 1)..]);
    }
}
