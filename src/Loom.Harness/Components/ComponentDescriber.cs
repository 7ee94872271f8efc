using System.Reflection;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Architecture;

namespace Loom.Harness.Components;

/// <summary>Reads from a class what is known of it before one is made: attribute, base type, options.</summary>
internal static class ComponentDescriber
{
    private static readonly PortPlan s_control = new() { Name = "control", Class = SemanticClass.ControlIn, Data = typeof(JsonElement) };
    private static readonly PortPlan s_errors = new() { Name = "errors", Class = SemanticClass.ErrorOut, Data = typeof(JsonElement) };

    /// <summary>Ports every component has: control operations in, error records out. Neither must be bound.</summary>
    public static IReadOnlyList<PortPlan> Implicit { get; } = [s_control, s_errors];

    /// <summary>What is known of a class.</summary>
    /// <param name="type">A class that derives from <see cref="Component"/>.</param>
    public static ComponentDescriptor Describe(Type type)
    {
        var attribute = type.GetCustomAttribute<ComponentAttribute>();
        var shape = BaseShape.Of(type);
        var options = OptionsOf(type);
        var inputs = type.GetCustomAttributes<InputAttribute>().ToList();
        var outputs = type.GetCustomAttributes<OutputAttribute>().ToList();
        var answers = type.IsDefined(typeof(AnswersAttribute));
        var asks = type.GetCustomAttributes<AsksAttribute>().Select(a => Output(a.Port, typeof(JsonElement)) with { Flow = FlowType.RequestResponse, Required = true }).ToList();
        return new ComponentDescriptor
        {
            Name = attribute?.Name ?? type.FullName!,
            Type = TypeOf(type, attribute, shape),
            Summary = attribute?.Summary ?? "",
            Version = attribute?.Version ?? 1,
            StateVersion = attribute?.StateVersion ?? 0,
            Replayable = attribute?.Replayable ?? false,
            Acknowledges = attribute?.Acknowledges ?? false,
            Idempotent = attribute?.Idempotent ?? false,
            SideEffects = attribute?.SideEffects ?? false,
            OneAtATime = attribute?.OneAtATime ?? false,
            ExecutesChain = shape.HarnessRunsLoop,
            Concurrency = attribute?.Concurrency ?? 1,
            BatchItems = attribute?.BatchItems ?? 0,
            Class = type,
            Options = options,
            Ports = given => Whole(PortsOf(inputs, outputs, shape, given), answers, asks),
        };
    }

    /// <summary>The constructor a component is made by: its only one, or the one with most parameters.</summary>
    public static ConstructorInfo ConstructorOf(Type type) =>
        type.GetConstructors(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic).OrderByDescending(c => c.GetParameters().Length).First();

    /// <summary>The options record: the constructor's first parameter, unless that is a service.</summary>
    public static Type? OptionsOf(Type type) =>
        ConstructorOf(type).GetParameters() is [var first, ..] && !ComponentFactory.IsService(first.ParameterType) ? first.ParameterType : null;

    // The attribute's type has no "not given": only what was written counts.
    private static ComponentType TypeOf(Type type, ComponentAttribute? attribute, BaseShape shape)
    {
        var written = type.GetCustomAttributesData().Any(d => d.AttributeType == typeof(ComponentAttribute) && d.NamedArguments.Any(a => a.MemberName == nameof(ComponentAttribute.Type)));
        return written ? attribute!.Type : shape.Type;
    }

    private static List<PortPlan> PortsOf(List<InputAttribute> inputs, List<OutputAttribute> outputs, BaseShape shape, object? options)
    {
        var names = options as IPortNames;
        var ports = new List<PortPlan>();
        if (names?.InputNames is { } ins && shape.Input is not null)
        {
            ports.AddRange(ins.Select(n => Input(n, shape.Input, required: true)));
        }
        else if (inputs.Count > 0)
        {
            ports.AddRange(inputs.Select(i => Input(i.Name, i.Data, i.Required)));
        }
        else if (shape.Input is not null)
        {
            ports.Add(Input("in", shape.Input, required: true));
        }

        if (names?.OutputNames is { } outs && shape.Output is not null)
        {
            ports.AddRange(outs.Select(n => Output(n, shape.Output)));
        }
        else if (outputs.Count > 0)
        {
            ports.AddRange(outputs.Select(o => Output(o.Name, o.Data)));
        }
        else if (shape.Output is not null)
        {
            ports.Add(Output("out", shape.Output));
        }
        else if (shape.Type == ComponentType.Controller)
        {
            ports.AddRange([Input("metrics", typeof(JsonElement), required: false), s_control, Output("control", typeof(JsonElement))]);
        }

        return ports;
    }

    // With what follows from asking and answering, and what every component has.
    private static PortPlan[] Whole(List<PortPlan> ports, bool answers, List<PortPlan> asks)
    {
        List<PortPlan> all = [.. answers ? ports.Select(p => p with { Flow = FlowType.RequestResponse }) : ports, .. asks];
        all.AddRange(Implicit.Where(i => all.All(p => p.Name != i.Name || p.IsInput != i.IsInput)));
        return [.. all];
    }

    private static PortPlan Input(string name, Type data, bool required) =>
        new() { Name = name, Class = ClassOf(name, SemanticClass.DataIn), Data = data, Required = required && ClassOf(name, SemanticClass.DataIn) == SemanticClass.DataIn };

    private static PortPlan Output(string name, Type data) => new() { Name = name, Class = ClassOf(name, SemanticClass.DataOut), Data = data };

    // The names that stand for their class wherever they are declared.
    private static SemanticClass ClassOf(string name, SemanticClass data) => (name, data) switch
    {
        ("control", SemanticClass.DataIn) => SemanticClass.ControlIn,
        ("control", SemanticClass.DataOut) => SemanticClass.ControlOut,
        ("metrics", SemanticClass.DataIn) => SemanticClass.MetricsIn,
        ("metrics", SemanticClass.DataOut) => SemanticClass.MetricsOut,
        ("errors", SemanticClass.DataIn) => SemanticClass.ErrorIn,
        ("errors", SemanticClass.DataOut) => SemanticClass.ErrorOut,
        _ => data,
    };
}
