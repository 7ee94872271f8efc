using System.Collections.Frozen;
using Loom.Components;

namespace Loom.Harness.Components;

/// <summary>The components <c>uses</c> may name without a class or a command. Immutable.</summary>
internal sealed class ComponentCatalog
{
    private static readonly Lazy<ComponentCatalog> s_builtIns = new(static () => new ComponentCatalog(typeof(ComponentCatalog).Assembly.GetTypes().Where(IsOurs)));
    private readonly FrozenDictionary<string, ComponentDescriptor> _byName;

    /// <param name="types">Of these, the components that have a name.</param>
    internal ComponentCatalog(IEnumerable<Type> types)
    {
        All =
        [
            .. types.Where(t => t is { IsAbstract: false, IsGenericTypeDefinition: false, IsNestedPrivate: false } && t.IsSubclassOf(typeof(Component)) && t.IsDefined(typeof(ComponentAttribute), false))
                .Select(ComponentDescriber.Describe).OrderBy(d => d.Name, StringComparer.Ordinal),
        ];
        _byName = All.ToFrozenDictionary(d => d.Name, StringComparer.Ordinal);
    }

    /// <summary>Those of this program: every class of its built-ins with a <see cref="ComponentAttribute"/>; benchmarks have parts of their own, which nobody may name.</summary>
    public static ComponentCatalog BuiltIns => s_builtIns.Value;

    /// <summary>By name.</summary>
    public IReadOnlyList<ComponentDescriptor> All { get; }

    private static bool IsOurs(Type type) => type.Namespace?.StartsWith($"{typeof(ComponentCatalog).Namespace}.BuiltIns", StringComparison.Ordinal) == true;

    public ComponentDescriptor? Find(string name) => _byName.GetValueOrDefault(name);
}
