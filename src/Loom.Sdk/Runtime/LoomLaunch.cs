using System.Collections.Immutable;

namespace Loom.Runtime;

/// <summary>How the <c>loom</c> executable is found and started. The default looks for it and hands down this process's environment.</summary>
public sealed record LoomLaunch
{
    /// <summary>
    /// Path of the executable. Null: <c>LOOM_EXECUTABLE</c>; else <c>loom</c> beside this program; else in <c>PATH</c>; else the newest one in the cache
    /// whose checksum fits.
    /// </summary>
    public string? Executable { get; init; }

    /// <summary>Variables over this process's environment; null takes one away.</summary>
    public IReadOnlyDictionary<string, string?> Environment { get; init; } = ImmutableDictionary<string, string?>.Empty;

    /// <summary>Clock of notices and of looks at the running project.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    internal string? Variable(string name) => Environment.TryGetValue(name, out var given) ? given : System.Environment.GetEnvironmentVariable(name);
}
