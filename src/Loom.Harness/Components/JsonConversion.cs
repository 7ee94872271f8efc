using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Loom.Harness.Components;

/// <summary>How an event gets from a port of one payload type to a port of another: not at all, through JSON, or never.</summary>
/// <param name="IsPossible">False: the two cannot be bound.</param>
/// <param name="Reason">Why not, and what to do; for a conversion, what is done.</param>
/// <param name="From">Metadata of the produced type, where it is written as JSON.</param>
/// <param name="To">Metadata of the consumed type, where it is read from JSON.</param>
internal sealed record JsonConversion(bool IsPossible, string Reason, JsonTypeInfo? From, JsonTypeInfo? To)
{
    // Weak, so that the types of a load context can go when it is unloaded.
    private static readonly ConditionalWeakTable<Type, StrongBox<JsonTypeInfo?>> s_found = [];

    /// <summary>The conversion between two payload types; null when they are the same.</summary>
    public static JsonConversion? Between(Type from, Type to)
    {
        if (from == to)
        {
            return null;
        }

        if (from != typeof(JsonElement) && to != typeof(JsonElement))
        {
            return new JsonConversion(false, "types of C# are not converted into each other; put a component between them, or give both ports one type", null, null);
        }

        var type = from == typeof(JsonElement) ? to : from;
        if (TypeInfo(type) is not { } info)
        {
            return new JsonConversion(false, $"{type.Name} has no source-generated JSON; add [JsonSerializable(typeof({type.Name}))] to a JsonSerializerContext beside it", null, null);
        }

        return from == typeof(JsonElement)
            ? new JsonConversion(true, $"JSON is read as {to.Name}", null, info)
            : new JsonConversion(true, $"{from.Name} is written as JSON", info, null);
    }

    /// <summary>Metadata of a type from a source-generated context of its own assembly, or of the few types every assembly has; null when there is none.</summary>
    public static JsonTypeInfo? TypeInfo(Type type) => s_found.GetValue(type, static t =>
        new StrongBox<JsonTypeInfo?>(PlainJson.Default.GetTypeInfo(t) ?? Contexts(t.Assembly).Select(c => c.GetTypeInfo(t)).FirstOrDefault(i => i is not null))).Value;

    private static IEnumerable<JsonSerializerContext> Contexts(System.Reflection.Assembly assembly) => assembly.GetTypes()
        .Where(t => t.IsSubclassOf(typeof(JsonSerializerContext)) && !t.IsAbstract)
        .Select(t => t.GetProperty("Default", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)?.GetValue(null) as JsonSerializerContext)
        .OfType<JsonSerializerContext>();
}

[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(bool))]
[JsonSerializable(typeof(int))]
[JsonSerializable(typeof(long))]
[JsonSerializable(typeof(double))]
internal sealed partial class PlainJson : JsonSerializerContext;
