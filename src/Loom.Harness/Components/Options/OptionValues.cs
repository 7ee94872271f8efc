using Loom.Core.Settings;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Components.Options;

/// <summary>Reads one value of a config by the type of its property.</summary>
internal static class OptionValues
{
    /// <summary>What is wanted, for messages.</summary>
    public static string Wanted(OptionKey key, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(TimeSpan))
        {
            return key.Unit == "ms" ? "a number of milliseconds" : "a time such as 5s, 500ms or 2m, or a number of seconds";
        }

        return type == typeof(string) ? "text"
            : type == typeof(bool) ? "true or false"
            : type == typeof(int) || type == typeof(long) ? key.Unit == "bytes" ? "a number of bytes, or a size such as 4MiB" : "a whole number"
            : type == typeof(double) ? "a number"
            : type == typeof(Uri) ? "an absolute URL"
            : type.IsEnum ? string.Join(", ", Enum.GetNames(type).Select(OptionKey.NameOf))
            : type == typeof(Expressions.MetricExpression) ? "a condition over metrics"
            : OptionTexts.IsCompiled(type) ? type.Name.ToLowerInvariant()
            : "a map";
    }

    /// <summary>The value, or null with a reason where more can be said than what is wanted.</summary>
    public static object? Read(OptionKey key, Type type, YamlScalar scalar, out string? wrong)
    {
        wrong = null;
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(string))
        {
            if (scalar.IsExpanded)
            {
                return scalar.Text;
            }

            wrong = scalar.Type == ScalarType.Bool ? "text is wanted; put it in quotes" : null;
            return scalar.Type is ScalarType.Text or ScalarType.Int or ScalarType.Float ? scalar.Text : null;
        }

        if (type == typeof(bool))
        {
            return scalar.Type == ScalarType.Bool ? CoreSchema.Bool(scalar.Text) : null;
        }

        if (type == typeof(int) || type == typeof(long))
        {
            return Whole(key, type, scalar, out wrong);
        }

        if (type == typeof(double))
        {
            return scalar.Type is ScalarType.Int or ScalarType.Float && double.IsFinite(CoreSchema.Double(scalar.Text)) ? CoreSchema.Double(scalar.Text) : null;
        }

        if (type == typeof(TimeSpan))
        {
            return Time(key.Unit == "ms", scalar);
        }

        if (type == typeof(Uri))
        {
            return Uri.TryCreate(scalar.Text, UriKind.Absolute, out var url) && url.Scheme.Length > 1 && scalar.Text.Contains(':', StringComparison.Ordinal) ? url : null;
        }

        return type.IsEnum ? Choice(type, scalar, out wrong) : throw new NotSupportedException($"{key.Property.DeclaringType}.{key.Property.Name}: options of type {type} cannot be bound");
    }

    /// <summary>A time: milliseconds where <paramref name="milliseconds"/>, else a text with units or a number of seconds. Null when it is neither.</summary>
    public static TimeSpan? Time(bool milliseconds, YamlScalar scalar)
    {
        if (scalar.Type is ScalarType.Int or ScalarType.Float)
        {
            var number = CoreSchema.Double(scalar.Text);
            return double.IsFinite(number) && number is >= 0 and < 1e11 ? milliseconds ? TimeSpan.FromMilliseconds(number) : TimeSpan.FromSeconds(number) : null;
        }

        return !milliseconds && scalar.Type == ScalarType.Text && Units.Duration(scalar.Text, "s") is { } parsed and < 1e14m ? TimeSpan.FromMilliseconds((double)parsed) : null;
    }

    private static object? Whole(OptionKey key, Type type, YamlScalar scalar, out string? wrong)
    {
        wrong = null;
        var number = scalar.Type == ScalarType.Int ? CoreSchema.Int(scalar.Text)
            : scalar.Type == ScalarType.Text && key.Unit == "bytes" && Units.Size(scalar.Text, "B") is { } size and < long.MaxValue ? (long)size
            : null;
        if (number is { } value && (type == typeof(long) || value is >= int.MinValue and <= int.MaxValue))
        {
            return type == typeof(long) ? (object)value : (int)value;
        }

        wrong = scalar.Type == ScalarType.Int ? "the number is too large"
            : scalar is { Type: ScalarType.Text, Style: ScalarStyle.Quoted } && CoreSchema.TypeOf(scalar.Text) == ScalarType.Int ? "a whole number is wanted; remove the quotes"
            : null;
        return null;
    }

    private static object? Choice(Type type, YamlScalar scalar, out string? wrong)
    {
        wrong = null;
        var names = Enum.GetNames(type);
        var at = Array.FindIndex(names, n => OptionKey.NameOf(n) == scalar.Text);
        if (at >= 0)
        {
            return Enum.Parse(type, names[at]);
        }

        var choices = names.Select(OptionKey.NameOf).ToList();
        var near = Nearest.Of(scalar.Text, choices);
        wrong = $"{(near is null ? "" : $"did you mean {near}? ")}allowed is {string.Join(", ", choices)}";
        return null;
    }
}
