using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>Names that follow from a key by rule. The rule stands here and nowhere else.</summary>
internal static class SettingNames
{
    /// <summary>Prefixes of environment variables that are Loom's own.</summary>
    public static readonly ImmutableArray<string> Prefixes =
        ["LOOM_", "ORCHESTRATOR_", "ORCHESTRATORD_", "ORCHD_", "POOL_MANAGERD_", "ENGINE_PROVISIONER_", "LLORCH_", "ARC_"];

    /// <summary>The variable of a key that has no documented one; none for starred keys.</summary>
    public static ImmutableArray<string> Mechanical(string key)
    {
        if (key.Contains('*', StringComparison.Ordinal))
        {
            return [];
        }

        var dot = key.IndexOf('.', StringComparison.Ordinal);
        var root = dot < 0 ? key : key[..dot];
        var last = key[(key.LastIndexOf('.') + 1)..];
        return root switch
        {
            "serving" when key.StartsWith("serving.node.", StringComparison.Ordinal) => [Upper("POOL_MANAGERD_", last)],
            "serving" when key.StartsWith("serving.provisioner.", StringComparison.Ordinal) => [Upper("ENGINE_PROVISIONER_", last)],
            "serving" => [Upper("ORCHD_", last)],
            "reasoning" => [Upper("ORCHESTRATOR_", key[(dot + 1)..])],
            "paths" => [Upper("ORCHESTRATOR_", key)],
            _ => [Upper("LOOM_", key)],
        };
    }

    /// <summary>The system a key belongs to, told by its first part.</summary>
    public static string SystemOf(string key)
    {
        var dot = key.IndexOf('.', StringComparison.Ordinal);
        return (dot < 0 ? key : key[..dot]) switch
        {
            "serving" or "models" => "serving",
            "runtime" or "bridge" or "dashboard" or "llm" or "mcp" or "agents" or "tools" or "binaries" => "agents",
            "harness" or "streams" or "batching" or "state" => "harness",
            "reasoning" => "reasoning",
            "research" or "training" or "jobs" or "provenance" => "research",
            _ => "shared",
        };
    }

    private static string Upper(string prefix, string path) => prefix + path.Replace(".", "__", StringComparison.Ordinal).ToUpperInvariant();
}
