using System.Text.Json.Nodes;
using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Graphs;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Components.Reference;

/// <summary>A key of a config in words.</summary>
internal sealed record SheetKey(string Name, string Type, string Default, string Allowed, string Description, bool Hot);

/// <summary>A port in words.</summary>
internal sealed record SheetPort(string Name, string Class, string Data, bool Required);

/// <summary>Everything that is known of a component without making one: what <c>loom harness components NAME</c> prints and the reference page holds.</summary>
internal sealed record ComponentSheet
{
    public required string Name { get; init; }

    public required string Type { get; init; }

    public required string Summary { get; init; }

    public required int Version { get; init; }

    /// <summary>What it promises, each a sentence.</summary>
    public required IReadOnlyList<string> Guarantees { get; init; }

    /// <summary>With the options' defaults; ports that every component has are left out.</summary>
    public required IReadOnlyList<SheetPort> Ports { get; init; }

    /// <summary>Whether the names of its ports follow from its config.</summary>
    public bool PortsFollowConfig { get; init; }

    /// <summary>Keys of its config; those of a nested record are written <c>outer.inner</c>.</summary>
    public required IReadOnlyList<SheetKey> Keys { get; init; }

    /// <summary>JSON Schema of its config.</summary>
    public required JsonObject Schema { get; init; }

    /// <summary>An example that is run by the tests, as YAML; empty where there is none.</summary>
    public string Example { get; init; } = "";

    public int Concurrency { get; init; } = 1;

    public int BatchItems { get; init; }

    public static ComponentSheet Of(ComponentDescriptor descriptor)
    {
        var options = descriptor.Options;
        var ports = PortsOf(descriptor);
        return new ComponentSheet
        {
            Name = descriptor.Name,
            Type = ComponentPlanner.NameOf(descriptor.Type),
            Summary = descriptor.Summary,
            Version = descriptor.Version,
            Guarantees = [.. GuaranteesOf(descriptor)],
            Ports = [.. ports.Where(p => ComponentDescriber.Implicit.All(i => i.Name != p.Name || i.IsInput != p.IsInput)).Select(p => new SheetPort(p.Name, OptionKey.NameOf(p.Class.ToString()), GraphDocument.TypeName(p.Data), p.Required))],
            PortsFollowConfig = options is not null && typeof(IPortNames).IsAssignableFrom(options),
            Keys = options is null ? [] : [.. KeysOf(options, "")],
            Schema = options is null ? new JsonObject { ["type"] = "object", ["additionalProperties"] = false } : ConfigSchema.Of(options),
            Example = ComponentExample.Of(descriptor.Name) ?? "",
            Concurrency = descriptor.Concurrency,
            BatchItems = descriptor.BatchItems,
        };
    }

    private static IReadOnlyList<PortPlan> PortsOf(ComponentDescriptor descriptor)
    {
        try
        {
            return descriptor.Ports(descriptor.Options is { } options ? OptionsShape.Of(options).Create() : null);
        }
        catch (Exception e) when (e is NullReferenceException or ArgumentNullException)
        {
            // A required key decides, and has no default.
            return descriptor.Ports(null);
        }
    }

    private static IEnumerable<string> GuaranteesOf(ComponentDescriptor descriptor)
    {
        if (descriptor.Replayable)
        {
            yield return "replayable: after a crash it reads on from the last checkpoint";
        }

        if (descriptor.Acknowledges)
        {
            yield return "acknowledges each event when all that came of it is confirmed";
        }

        if (descriptor.Type == ComponentType.Source && !descriptor.Replayable && !descriptor.Acknowledges)
        {
            yield return "at most once: what is in flight in a crash is lost";
        }

        if (descriptor.Type == ComponentType.Sink)
        {
            yield return descriptor.Idempotent ? "idempotent: an event that is repeated shows once" : "an event that is repeated after a crash shows again";
        }

        if (descriptor.StateVersion > 0)
        {
            yield return $"keeps state (version {descriptor.StateVersion}), saved by checkpoints";
        }

        if (descriptor.SideEffects)
        {
            yield return "its effect outside the system can repeat after a crash";
        }
    }

    internal static IEnumerable<SheetKey> KeysOf(Type options, string path)
    {
        var shape = OptionsShape.Of(options);
        var defaults = OptionsJson.Element(shape.Create());
        foreach (var key in shape.Keys)
        {
            yield return new SheetKey(path + key.Name, ConfigSchema.TypeOf(key), ConfigSchema.DefaultOf(key, defaults), OptionRules.Allowed(key), key.Description, key.Hot);
            var inner = key.Type.IsGenericType ? key.Type.GetGenericArguments()[^1] : key.Type;
            if (OptionsShape.IsNested(inner) && path.Length < 60)
            {
                foreach (var nested in KeysOf(inner, $"{path}{key.Name}{(key.Type.IsGenericType ? "[]" : "")}."))
                {
                    yield return nested;
                }
            }
        }
    }
}
