using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Loom.Harness.Components.Options;

/// <summary>The keys of an options record, read once by reflection: what the binder, the reference page and the JSON Schema of a config are made from.</summary>
internal sealed class OptionsShape
{
    // Weak, so that the types of a load context can go when it is unloaded.
    private static readonly ConditionalWeakTable<Type, OptionsShape> s_shapes = [];

    private OptionsShape(Type type)
    {
        Type = type;
        var nullability = new NullabilityInfoContext();
        Keys =
        [
            .. type.GetProperties(BindingFlags.Instance | BindingFlags.Public)
                .Where(p => p.SetMethod is { IsPublic: true } && p.GetIndexParameters().Length == 0)
                .Select(p => new OptionKey(p, nullability.Create(p))),
        ];
        HasRules = typeof(IValidatableObject).IsAssignableFrom(type);
    }

    public Type Type { get; }

    /// <summary>In the order of declaration.</summary>
    public IReadOnlyList<OptionKey> Keys { get; }

    /// <summary>Whether there are rules between keys.</summary>
    public bool HasRules { get; }

    public static OptionsShape Of(Type type) => s_shapes.GetValue(type, static t => new OptionsShape(t));

    /// <summary>A record with every default.</summary>
    public object Create() => Activator.CreateInstance(Type, nonPublic: true)!;

    /// <summary>Whether a type is a record of options of its own, rather than a value.</summary>
    public static bool IsNested(Type type) =>
        type is { IsClass: true, IsAbstract: false } && type != typeof(string) && type != typeof(Uri)
        && type.GetConstructor(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic, Type.EmptyTypes) is not null
        && !OptionTexts.IsCompiled(type);
}
