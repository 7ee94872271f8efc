using System.Collections.Immutable;

namespace Loom.Processes;

/// <summary>Processes that outlived KILL and five seconds, named by pid and command: stuck in the kernel, or no longer ours to signal.</summary>
public sealed class SurvivorsException(ImmutableArray<string> survivors)
    : Exception($"could not be ended, still there: {string.Join(", ", survivors)}")
{
    public ImmutableArray<string> Survivors { get; } = survivors;
}
