using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Components.Options;

/// <summary>One key of a component's config, as its options record declares it.</summary>
internal sealed class OptionKey
{
    private readonly NullabilityInfo _nullability;

    public OptionKey(PropertyInfo property, NullabilityInfo nullability)
    {
        _nullability = nullability;
        Property = property;
        Name = NameOf(property.Name);
        Type = Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType;
        Required = property.IsDefined(typeof(RequiredMemberAttribute)) || property.IsDefined(typeof(RequiredAttribute));
        Description = property.GetCustomAttribute<DescriptionAttribute>()?.Description ?? "";
        Hot = property.IsDefined(typeof(HotAttribute));
        Range = property.GetCustomAttribute<RangeAttribute>();
        Allowed = property.GetCustomAttribute<AllowedValuesAttribute>()?.Values;
        Others = [.. property.GetCustomAttributes<ValidationAttribute>().Where(a => a is not (RangeAttribute or AllowedValuesAttribute or RequiredAttribute))];
    }

    public PropertyInfo Property { get; }

    /// <summary>In the YAML.</summary>
    public string Name { get; }

    /// <summary>Without its <see cref="Nullable{T}"/>.</summary>
    public Type Type { get; }

    public bool Required { get; }

    /// <summary>Whether it may be unset: its default says nothing.</summary>
    public bool MayBeNull => _nullability.WriteState == NullabilityState.Nullable;

    /// <summary>One sentence, with its unit.</summary>
    public string Description { get; }

    public bool Hot { get; }

    public RangeAttribute? Range { get; }

    public IReadOnlyList<object?>? Allowed { get; }

    /// <summary>Rules besides range and allowed values.</summary>
    public IReadOnlyList<ValidationAttribute> Others { get; }

    /// <summary>What a bare number means: <c>ms</c>, <c>s</c>, <c>bytes</c>, or nothing.</summary>
    public string Unit =>
        Name.EndsWith("_ms", StringComparison.Ordinal) ? "ms"
        : Type == typeof(TimeSpan) || Name.EndsWith("_s", StringComparison.Ordinal) ? "s"
        : Name.EndsWith("_bytes", StringComparison.Ordinal) ? "bytes"
        : "";

    /// <summary>How a name of C# is written in YAML: <c>OnBadLine</c> is <c>on_bad_line</c>.</summary>
    public static string NameOf(string name) => JsonNamingPolicy.SnakeCaseLower.ConvertName(name);
}
