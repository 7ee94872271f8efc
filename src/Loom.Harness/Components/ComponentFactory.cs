using System.Reflection;
using Loom.Components;
using Loom.Harness.Architecture;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Components;

/// <summary>Makes components: the options come from the plan, everything else from the services, by type.</summary>
/// <param name="services">What constructors may ask for besides their options; loggers come from its <see cref="ILoggerFactory"/>.</param>
/// <param name="logs">Loggers instead of the services' own; null = those.</param>
internal sealed class ComponentFactory(IServiceProvider services, ILoggerFactory? logs = null)
{
    // What a constructor of a user's class may ask for.
    private static readonly HashSet<Type> s_offered =
    [
        typeof(ILogger), typeof(ILoggerFactory), typeof(TimeProvider), typeof(Random), typeof(IChatClient), typeof(IEmbeddingGenerator),
        typeof(IEmbeddingGenerator<string, Embedding<float>>), typeof(HttpClient),
    ];

    /// <summary>The services every class may ask for, for messages.</summary>
    public static string Offered => "ILogger, TimeProvider, Random, IChatClient, IEmbeddingGenerator<string, Embedding<float>>, HttpClient";

    /// <summary>Whether a constructor parameter is a service, rather than options.</summary>
    public static bool IsService(Type type) =>
        s_offered.Contains(type) || IsLogger(type) || type.IsInterface || type.IsAbstract || type == typeof(ComponentPlan) || type == typeof(PolicyPlan) || type == typeof(SystemPlan);

    /// <summary>Whether the harness can give a parameter of this type to a class that is not its own.</summary>
    public static bool IsOffered(Type type) => s_offered.Contains(type) || IsLogger(type);

    /// <summary>A new instance; what its constructor throws comes out as it is.</summary>
    /// <exception cref="InvalidOperationException">It asks for a service there is none of, or is made of a command.</exception>
    public Component Create(ComponentPlan plan)
    {
        var type = plan.Descriptor.Class ?? throw new InvalidOperationException($"component \"{plan.Name}\" is a command, which no constructor makes");
        return (Component)Make(type, plan.Name, plan, plan.Descriptor.Options, plan.Options);
    }

    /// <summary>A new instance of a capability of the user's own.</summary>
    /// <exception cref="InvalidOperationException">It asks for a service there is none of, or is one of the harness's own.</exception>
    public Capability Create(CapabilityPlan capability)
    {
        var type = capability.Class ?? throw new InvalidOperationException($"capability {capability.Name} is the harness's own");
        return (Capability)Make(type, capability.Name, null, capability.Options?.GetType(), capability.Options);
    }

    private object Make(Type type, string name, ComponentPlan? plan, Type? optionsType, object? options)
    {
        var constructor = ComponentDescriber.ConstructorOf(type);
        var arguments = constructor.GetParameters().Select(p => p.ParameterType == optionsType ? options : Argument(p, name, plan)).ToArray();
        return constructor.Invoke(BindingFlags.DoNotWrapExceptions, null, arguments, null);
    }

    private object? Argument(ParameterInfo parameter, string name, ComponentPlan? plan)
    {
        var type = parameter.ParameterType;
        if (type == typeof(ComponentPlan) && plan is not null)
        {
            return plan;
        }

        if (IsLogger(type))
        {
            var loggers = logs ?? (ILoggerFactory?)services.GetService(typeof(ILoggerFactory)) ?? Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance;
            return type == typeof(ILogger) ? loggers.CreateLogger("Loom.Harness." + name) : Activator.CreateInstance(typeof(Logger<>).MakeGenericType(type.GetGenericArguments()), loggers);
        }

        return (type == typeof(ILoggerFactory) ? logs : null) ?? services.GetService(type) ?? (parameter.HasDefaultValue
            ? parameter.DefaultValue
            : throw new InvalidOperationException($"\"{name}\" asks for {type.Name}, which is not there; known are {Offered}"));
    }

    private static bool IsLogger(Type type) => type == typeof(ILogger) || (type.IsGenericType && type.GetGenericTypeDefinition() == typeof(ILogger<>));
}
