using System.Collections.Immutable;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;

namespace Loom.Agents.Project;

/// <summary>The configuration as it is now cannot be put in force; the message is for a person.</summary>
public sealed class PlanRefusedException(string message) : Exception(message);

/// <summary>A plan and the fingerprint of the configuration it was read from.</summary>
/// <param name="Plan">What the project asks for.</param>
/// <param name="ConfigSha256">For <c>state.json</c>.</param>
public sealed record PlanReading(ProjectPlan Plan, string? ConfigSha256)
{
    /// <summary>The dataflow systems it lists.</summary>
    public ImmutableArray<SystemListing> Systems { get; init; } = [];
}

/// <summary>The agents of a run, and how to read their plan anew.</summary>
/// <param name="Host">Who owns them.</param>
/// <param name="ReadPlan">Reads <c>loom.toml</c> and <c>agents/</c> as they are now, with the environment of this runtime; throws <see cref="PlanRefusedException"/>.</param>
public sealed record ProjectAgents(AgentHost Host, Func<CancellationToken, Task<PlanReading>> ReadPlan);
