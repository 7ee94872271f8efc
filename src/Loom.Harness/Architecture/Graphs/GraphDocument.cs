using System.Text.Json;
using System.Text.Json.Nodes;
using Loom.Harness.Architecture.Locking;
using Loom.Harness.Architecture.Planning;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture.Graphs;

/// <summary>
/// A system's graph as data: what the lock hashes, checkpoints compare and people see. It holds what flows where and by which rules; sizes of buffers,
/// which a deployment may change, are no part of it.
/// </summary>
internal static class GraphDocument
{
    /// <summary>The graph in its canonical content; values that are defaults are left out.</summary>
    public static JsonObject Of(SystemPlan plan) => new()
    {
        ["system"] = new JsonObject { ["name"] = plan.Name, ["version"] = plan.Version },
        ["components"] = new JsonArray([.. plan.Components.Select(Component)]),
        ["bindings"] = new JsonArray([.. plan.Bindings.Select(Binding)]),
    };

    /// <summary>The graph with what flows in it now.</summary>
    public static JsonObject Of(SystemPlan plan, LiveGraph? live)
    {
        var graph = Of(plan);
        if (live is null)
        {
            return graph;
        }

        graph["bottleneck"] = live.Bottleneck;
        foreach (var (binding, node) in plan.Bindings.Zip(graph["bindings"]!.AsArray()))
        {
            if (live.Streams.GetValueOrDefault(binding.Name) is { } stream)
            {
                node!["live"] = new JsonObject { ["rate"] = Math.Round(stream.Rate, 1), ["depth"] = stream.Depth, ["capacity"] = stream.Capacity };
            }
        }

        return graph;
    }

    /// <summary>Hash of the graph alone, without the system's version: a checkpoint of an equal graph can be resumed.</summary>
    public static string Hash(SystemPlan plan)
    {
        var graph = Of(plan);
        graph.Remove("system");
        return CanonicalText.Hash(graph);
    }

    /// <summary>What a component is made of, in one word or one map.</summary>
    public static JsonNode Uses(UsesPlan uses)
    {
        if (uses.BuiltIn is { } name)
        {
            return JsonValue.Create(name);
        }

        if (uses.Command is { } command)
        {
            var map = new JsonObject { ["command"] = List(command.Command) };
            Add(map, "cwd", command.Cwd);
            Add(map, "files", command.Files.Count == 0 ? null : List(command.Files));
            Add(map, "replicas", command.Replicas == 1 ? null : JsonValue.Create(command.Replicas));
            Add(map, "env", command.Env.Count == 0 ? null : new JsonObject(command.Env.Select(e => KeyValuePair.Create(e.Key, (JsonNode?)JsonValue.Create(e.Value)))));
            return map;
        }

        var made = new JsonObject { ["class"] = uses.Class };
        Add(made, "project", uses.Project);
        Add(made, "assembly", uses.Assembly);
        return made;
    }

    /// <summary>A type as people write it: JSON, or the name of a class.</summary>
    public static string TypeName(Type type) => type == typeof(JsonElement) ? "json" : type.FullName ?? type.Name;

    private static JsonNode Component(ComponentPlan component)
    {
        var map = new JsonObject
        {
            ["name"] = component.Name,
            ["type"] = ComponentPlanner.NameOf(component.Type),
            ["uses"] = Uses(component.Uses),
            ["inputs"] = new JsonArray([.. component.Ports.Where(p => p.IsInput).Select(Port)]),
            ["outputs"] = new JsonArray([.. component.Ports.Where(p => !p.IsInput).Select(Port)]),
        };
        Add(map, "ordering", component.Ordering == ItemOrder.Strict ? null : Name(component.Ordering));
        Add(map, "state_version", component.Descriptor.StateVersion == 0 ? null : JsonValue.Create(component.Descriptor.StateVersion));
        return map;
    }

    private static JsonNode Port(PortPlan port)
    {
        var map = new JsonObject { ["name"] = port.Name, ["class"] = OptionKey.NameOf(port.Class.ToString()), ["data"] = TypeName(port.Data) };
        Add(map, "required", port.Required ? JsonValue.Create(true) : null);
        Add(map, "flow_type", port.Flow == FlowType.Push ? null : Name(port.Flow));
        Add(map, "schema", port.SchemaId is null ? null : $"{port.SchemaId} {port.SchemaVersion ?? "1.0.0"}");
        Add(map, "distribution", port.Distribution == Distribution.Broadcast ? null : Name(port.Distribution));
        Add(map, "key", port.DistributionKey);
        Add(map, "match", port.MatchAll ? "all" : null);
        Add(map, "fan_in", port.FanIn == FanIn.Merge ? null : Name(port.FanIn));
        return map;
    }

    private static JsonNode Binding(BindingPlan binding)
    {
        var map = new JsonObject
        {
            ["name"] = binding.Name,
            ["from"] = $"{binding.FromComponent}.{binding.FromPort}",
            ["to"] = $"{binding.ToComponent}.{binding.ToPort}",
        };
        Add(map, "overflow", binding.Overflow == OverflowRule.Block ? null : Name(binding.Overflow));
        Add(map, "condition", binding.Condition);
        Add(map, "weight", binding.Weight == 1 ? null : JsonValue.Create(binding.Weight));
        Add(map, "priority", binding.Priority == 0 ? null : JsonValue.Create(binding.Priority));
        Add(map, "transformation", binding.Transformation);
        Add(map, "copy", binding.Copy ? JsonValue.Create(true) : null);
        Add(map, "feedback", binding.Feedback ? JsonValue.Create(true) : null);
        Add(map, "max_in_flight", binding.MaxInFlight is { } most ? JsonValue.Create(most) : null);
        Add(map, "ttl_ms", binding.TimeToLive is { } time ? JsonValue.Create(time.TotalMilliseconds) : null);
        return map;
    }

    private static JsonNode Name<T>(T value)
        where T : struct, Enum => JsonValue.Create(OptionKey.NameOf(value.ToString()));

    private static JsonArray List(IEnumerable<string> texts) => new([.. texts.Select(t => (JsonNode)JsonValue.Create(t))]);

    private static void Add(JsonObject map, string key, JsonNode? value)
    {
        if (value is not null)
        {
            map[key] = value;
        }
    }
}
