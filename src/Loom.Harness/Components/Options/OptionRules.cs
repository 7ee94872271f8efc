using System.Collections;
using System.ComponentModel.DataAnnotations;
using System.Globalization;
using Loom.Core.Settings;
using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Components.Options;

/// <summary>Ranges, allowed values and other annotations of one key, told with their unit.</summary>
internal static class OptionRules
{
    /// <summary>Which rule the value breaks and what is allowed; null when none.</summary>
    public static string? Broken(OptionKey key, object value)
    {
        if (value is IEnumerable and not string && value is not IDictionary)
        {
            foreach (var item in (IEnumerable)value)
            {
                if (One(key, item) is { } broken)
                {
                    return broken;
                }
            }
        }
        else if (One(key, value) is { } broken)
        {
            return broken;
        }

        foreach (var rule in key.Others)
        {
            if (!rule.IsValid(value))
            {
                return rule.FormatErrorMessage(key.Name).TrimEnd('.');
            }
        }

        return null;
    }

    /// <summary>What is allowed, for the reference page; empty when anything is.</summary>
    public static string Allowed(OptionKey key)
    {
        if (key.Range is { } range)
        {
            return $"{Bound(range.Minimum)} to {Bound(range.Maximum)}{(key.Unit.Length == 0 ? "" : " " + key.Unit)}";
        }

        return key.Allowed is { } allowed ? string.Join(", ", allowed)
            : key.Type.IsEnum ? string.Join(", ", Enum.GetNames(key.Type).Select(OptionKey.NameOf))
            : "";
    }

    /// <summary>A given value in a message.</summary>
    public static string Shown(YamlNode node) => node switch
    {
        YamlScalar { Secret: true } => "a secret",
        YamlScalar { Type: ScalarType.Text } text => $"\"{Redaction.Plain(text.Text)}\"",
        YamlScalar scalar => scalar.Text.Length == 0 ? "empty" : scalar.Text,
        _ => node.Kind,
    };

    private static string? One(OptionKey key, object? value)
    {
        if (key.Range is { } range && value is not null && !InRange(key, range, value))
        {
            return $"allowed is {Allowed(key)}";
        }

        if (key.Allowed is { } allowed && !allowed.Contains(value))
        {
            var near = Nearest.Of(value?.ToString() ?? "", allowed.Select(a => a?.ToString() ?? ""));
            return $"{(near is null ? "" : $"did you mean {near}? ")}allowed is {string.Join(", ", allowed)}";
        }

        return null;
    }

    private static bool InRange(OptionKey key, RangeAttribute range, object value)
    {
        if (value is not TimeSpan time)
        {
            return value is int or long or double ? Number(range.Minimum) <= Number(value) && Number(value) <= Number(range.Maximum) : range.IsValid(value);
        }

        var number = key.Unit == "ms" ? time.TotalMilliseconds : time.TotalSeconds;
        return range.OperandType == typeof(TimeSpan) ? range.IsValid(time) : Number(range.Minimum) <= number && number <= Number(range.Maximum);
    }

    private static double Number(object value) => Convert.ToDouble(value, CultureInfo.InvariantCulture);

    private static string Bound(object value) => value switch
    {
        int.MaxValue or long.MaxValue or double.MaxValue => "any",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString()!,
    };
}
