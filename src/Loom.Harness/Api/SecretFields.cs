using System.Text.Json;
using Loom.Harness.Architecture;

namespace Loom.Harness.Api;

/// <summary>Fields of a stream's payload that its schema marks <c>x-secret</c>: they are masked wherever a payload is shown.</summary>
internal sealed record SecretFields(IReadOnlySet<string> Paths)
{
    /// <summary>What stands in their place.</summary>
    public const string Mask = "[redacted]";

    /// <summary>Those of the schema of either end of a binding.</summary>
    public static SecretFields Of(SystemPlan system, BindingPlan binding)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (component, port) in ((string, string)[])[(binding.FromComponent, binding.FromPort), (binding.ToComponent, binding.ToPort)])
        {
            var plan = system.Components.Single(c => c.Name == component).Ports.Single(p => p.Name == port);
            if (plan.SchemaId is { } id && system.Schemas.TryGetValue(id, out var schema))
            {
                Collect(schema.Schema, "", found);
            }
        }

        return new SecretFields(found);
    }

    // Items of lists have the list's path.
    private static void Collect(JsonElement schema, string path, HashSet<string> found)
    {
        if (schema.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        if (schema.TryGetProperty("x-secret", out var secret) && secret.ValueKind == JsonValueKind.True)
        {
            found.Add(path);
        }

        if (schema.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in properties.EnumerateObject())
            {
                Collect(property.Value, $"{path}/{property.Name}", found);
            }
        }

        if (schema.TryGetProperty("items", out var items))
        {
            Collect(items, path, found);
        }
    }
}
