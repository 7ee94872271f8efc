using System.Text.Json;

namespace Loom.Harness.Architecture.Planning;

/// <summary>Whether a JSON Schema can be used.</summary>
internal static class SchemaText
{
    /// <summary>What is wrong with it; null when nothing is.</summary>
    public static string? Fault(JsonElement schema) =>
        schema.ValueKind is JsonValueKind.Object or JsonValueKind.True or JsonValueKind.False ? null : "a JSON Schema is an object";
}
