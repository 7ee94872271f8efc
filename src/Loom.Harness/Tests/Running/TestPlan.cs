using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Components;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Harness.Tests.StandIns;

namespace Loom.Harness.Tests.Running;

/// <summary>
/// A system as one case runs it: sources and endpoints a test feeds, and components outside the slice, give way to stand-ins; what a mock answers for keeps its place, its chain and its
/// bindings. Bindings keep their names and rules, so the rest of the graph behaves as it does whole.
/// </summary>
internal sealed class TestPlan
{
    private static readonly string[] s_neverReal = ["http_in", "stdin", "bus_in", "redis_in"];
    private static readonly string[] s_network = ["llm", "embed", "tool", "http_call", "http_out", "bus_out", "redis_out"];

    private readonly SystemPlan _whole;
    private readonly TestCase _test;
    private readonly TimeProvider _time;
    private readonly List<ComponentPlan> _components = [];
    private readonly List<BindingPlan> _bindings = [];
    private readonly Dictionary<string, Func<Component>> _standIns = new(StringComparer.Ordinal);
    private readonly Dictionary<PortName, PortName> _places = [];

    private TestPlan(SystemPlan whole, TestCase test, TimeProvider time) => (_whole, _test, _time) = (whole, test, time);

    /// <summary>What is run.</summary>
    public SystemPlan Plan { get; private set; } = null!;

    /// <summary>Stand-ins that need nothing but this plan, by component.</summary>
    public IReadOnlyDictionary<string, Func<Component>> StandIns => _standIns;

    public static TestPlan Of(SystemPlan whole, TestCase test, TimeProvider time)
    {
        var made = new TestPlan(whole, test, time);
        made.Make();
        return made;
    }

    /// <summary>Where what a test calls by this name is found in <see cref="Plan"/>.</summary>
    public PortName Where(PortName asked) => _places.GetValueOrDefault(asked, asked);

    /// <summary>Whether a component is answered for: the test says so, or it would reach a network.</summary>
    public static bool IsMocked(ComponentPlan component, TestCase test) =>
        test.Mocks.ContainsKey(component.Name) || IsApart(component, test);

    /// <summary>Whether a component would reach a network this case does not reach.</summary>
    public static bool IsApart(ComponentPlan component, TestCase test) => !test.Live && s_network.Contains(component.Uses.BuiltIn, StringComparer.Ordinal);

    private bool IsOutside(ComponentPlan component) =>
        _test.Only?.ContainsKey(component.Name) == false
        || s_neverReal.Contains(component.Uses.BuiltIn, StringComparer.Ordinal)
        || _test.Given.Any(g => g.Port.Component == component.Name && IsOutput(component, g.Port.Port));

    private static bool IsOutput(ComponentPlan component, string port) => component.Ports.Any(p => !p.IsInput && p.Name == port);

    private void Make()
    {
        var outside = _whole.Components.Where(IsOutside).Select(c => c.Name).ToHashSet(StringComparer.Ordinal);
        // What a test gives to an input takes the place of all that came there.
        var bound = _whole.Bindings.Where(b => !(outside.Contains(b.FromComponent) && outside.Contains(b.ToComponent)) && !IsGiven(b.ToComponent, b.ToPort)).ToList();
        foreach (var component in _whole.Components)
        {
            if (outside.Contains(component.Name))
            {
                Replace(component, bound);
            }
            else
            {
                _components.Add(Inside(component));
                Feed(component);
            }
        }

        _bindings.AddRange(bound.Select(Rebound));
        Plan = _whole with { Components = _components, Bindings = _bindings };
    }

    private bool IsGiven(string component, string port) => _test.Given.Any(g => g.Port == new PortName(component, port));

    private BindingPlan Rebound(BindingPlan binding)
    {
        var from = Where(new PortName(binding.FromComponent, binding.FromPort));
        var to = Where(new PortName(binding.ToComponent, binding.ToPort));
        return binding with { FromComponent = from.Component, FromPort = from.Port, ToComponent = to.Component, ToPort = to.Port };
    }

    private ComponentPlan Inside(ComponentPlan component)
    {
        if (IsMocked(component, _test))
        {
            return component with { Ports = [.. component.Ports.Select(p => p with { Data = typeof(JsonElement) })] };
        }

        // A test takes nothing away from the folder it reads.
        return component.Options is DirWatchOptions { OnDone: not DoneFile.Keep } watch ? component with { Options = watch with { OnDone = DoneFile.Keep, MoveTo = null } } : component;
    }

    // One source for each output that leads somewhere or is given, one sink for all inputs.
    private void Replace(ComponentPlan component, List<BindingPlan> bound)
    {
        var outputs = bound.Where(b => b.FromComponent == component.Name).Select(b => b.FromPort)
            .Concat(_test.Given.Where(g => g.Port.Component == component.Name).Select(g => g.Port.Port)).Distinct(StringComparer.Ordinal).ToList();
        foreach (var output in outputs)
        {
            var name = outputs.Count == 1 ? component.Name : $"{component.Name}.{output}";
            var port = component.Ports.First(p => !p.IsInput && p.Name == output);
            AddSource(name, port, new PortName(component.Name, output));
        }

        var inputs = bound.Where(b => b.ToComponent == component.Name).Select(b => b.ToPort).Distinct(StringComparer.Ordinal).ToList();
        if (inputs.Count > 0)
        {
            var name = outputs.Count == 0 ? component.Name : $"{component.Name}.in";
            Add(name, ComponentType.Sink, [.. inputs.Select(i => component.Ports.First(p => p.IsInput && p.Name == i) with { Data = typeof(JsonElement), Required = false, Flow = FlowType.Push })], () => new Swallow(inputs));
            foreach (var input in inputs)
            {
                _places[new PortName(component.Name, input)] = new PortName(name, input);
            }
        }
    }

    // Inputs of a component that runs.
    private void Feed(ComponentPlan component)
    {
        foreach (var given in _test.Given.Where(g => g.Port.Component == component.Name))
        {
            var name = $"given {given.Port}";
            AddSource(name, new PortPlan { Name = "out", Class = SemanticClass.DataOut, Data = typeof(JsonElement) }, given.Port);
            _places.Remove(given.Port);
            _bindings.Add(new BindingPlan { Name = $"{name}->{given.Port}", FromComponent = name, FromPort = "out", ToComponent = component.Name, ToPort = given.Port.Port });
        }
    }

    private void AddSource(string name, PortPlan port, PortName stands)
    {
        var events = _test.Given.FirstOrDefault(g => g.Port == stands)?.Events ?? [];
        _places[stands] = new PortName(name, "out");
        Add(name, ComponentType.Source, [port with { Name = "out", Data = typeof(JsonElement), Flow = FlowType.Push }], () => new GivenSource(events, _time));
    }

    private void Add(string name, ComponentType type, IReadOnlyList<PortPlan> ports, Func<Component> make)
    {
        _standIns[name] = make;
        _components.Add(new ComponentPlan
        {
            Name = name,
            Type = type,
            Uses = new UsesPlan { BuiltIn = "stand_in" },
            Descriptor = new ComponentDescriptor { Name = "stand_in", Type = type, Summary = "", Ports = _ => ports, ExecutesChain = true },
            Ports = ports,
        });
    }
}
