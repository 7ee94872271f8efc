using System.Text.Json;
using Loom.Harness.Expressions;

namespace Loom.Harness.Tests.Matching;

/// <summary>Compares one payload with what is expected of it.</summary>
internal static class JsonMatch
{
    /// <summary>Where they differ first, as a path such as <c>.items[0].id</c>; empty for the whole; null when they match.</summary>
    /// <param name="expected">What is wanted.</param>
    /// <param name="actual">What came.</param>
    /// <param name="subset">Fields that are not named are not looked at, at any depth.</param>
    public static string? Differs(JsonElement expected, JsonElement actual, bool subset)
    {
        if (expected.ValueKind == JsonValueKind.Object && actual.ValueKind == JsonValueKind.Object)
        {
            return Objects(expected, actual, subset);
        }

        if (expected.ValueKind == JsonValueKind.Array && actual.ValueKind == JsonValueKind.Array)
        {
            return Lists(expected, actual, subset);
        }

        // Numbers are compared by what they are worth: 1, 1.0 and 1e0 are the same.
        return CanonicalJson.Of(expected) == CanonicalJson.Of(actual) ? null : "";
    }

    private static string? Objects(JsonElement expected, JsonElement actual, bool subset)
    {
        foreach (var property in expected.EnumerateObject())
        {
            if (!actual.TryGetProperty(property.Name, out var value))
            {
                return "." + property.Name;
            }

            if (Differs(property.Value, value, subset) is { } path)
            {
                return "." + property.Name + path;
            }
        }

        foreach (var property in subset ? default : actual.EnumerateObject())
        {
            if (!expected.TryGetProperty(property.Name, out _))
            {
                return "." + property.Name;
            }
        }

        return null;
    }

    private static string? Lists(JsonElement expected, JsonElement actual, bool subset)
    {
        var (wanted, got) = (expected.GetArrayLength(), actual.GetArrayLength());
        for (var i = 0; i < Math.Min(wanted, got); i++)
        {
            if (Differs(expected[i], actual[i], subset) is { } path)
            {
                return $"[{i}]{path}";
            }
        }

        return wanted == got ? null : $"[{Math.Min(wanted, got)}]";
    }
}
