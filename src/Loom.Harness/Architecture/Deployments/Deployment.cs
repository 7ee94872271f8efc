using Loom.Harness.Architecture.Yaml;

namespace Loom.Harness.Architecture.Deployments;

/// <summary>What <c>deployment.yaml</c> says, read and checked by itself; names are checked when it is laid over the architecture.</summary>
internal sealed record Deployment
{
    /// <summary>No file: nothing is overridden.</summary>
    public static Deployment None { get; } = new();

    /// <summary>Its file, relative to the system's folder; null when there is none.</summary>
    public string? File { get; init; }

    public string? Environment { get; init; }

    /// <summary>Overrides by component, each with the key that names it.</summary>
    public IReadOnlyDictionary<string, (YamlScalar Key, YamlMapping Map)> Components { get; init; } = new Dictionary<string, (YamlScalar, YamlMapping)>();

    /// <summary>Overrides by binding.</summary>
    public IReadOnlyDictionary<string, (YamlScalar Key, YamlMapping Map)> Bindings { get; init; } = new Dictionary<string, (YamlScalar, YamlMapping)>();

    /// <summary><c>env_vars</c>, secrets resolved.</summary>
    public IReadOnlyDictionary<string, string> Variables { get; init; } = new Dictionary<string, string>();

    /// <summary>Names of <see cref="Variables"/> whose values are never shown.</summary>
    public IReadOnlySet<string> Secrets { get; init; } = new HashSet<string>();

    public YamlMapping? Policy { get; init; }

    public YamlMapping? State { get; init; }
}
