using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Agents.Orchestration;

/// <summary>No agent and no replica has that name.</summary>
public sealed class UnknownAgentException(string asked, string? nearest, IReadOnlyCollection<string> known)
    : ArgumentException($"there is no agent '{asked}'{(nearest is null ? "" : $"; did you mean '{nearest}'?")}"
        + (nearest is null ? ";" : "") + (known.Count == 0 ? " the project has none" : $" there are: {string.Join(", ", known)}"))
{
    /// <summary>The name that was asked for.</summary>
    public string Asked { get; } = asked;

    /// <summary>The name most likely meant; null when none is near.</summary>
    public string? Nearest { get; } = nearest;
}

/// <summary>What a name means: an agent's all its replicas, a replica's only that one.</summary>
internal static class AgentNames
{
    /// <returns>Names of replicas, each once; of all for null.</returns>
    /// <exception cref="UnknownAgentException">A name is nobody's.</exception>
    internal static ImmutableArray<string> Resolve(HostState state, IEnumerable<string>? names)
    {
        if (names is null)
        {
            return [.. state.Replicas.Select(r => r.Name)];
        }

        var found = ImmutableArray.CreateBuilder<string>();
        foreach (var name in names)
        {
            if (state.Find(name) is not null)
            {
                found.Add(name);
            }
            else if (state.Agents.ContainsKey(name))
            {
                found.AddRange(state.Replicas.Where(r => r.Agent.Name == name).Select(r => r.Name));
            }
            else
            {
                var known = state.Agents.Keys.Order(StringComparer.Ordinal).ToList();
                throw new UnknownAgentException(name, Nearest.Of(name, known.Concat(state.Replicas.Select(r => r.Name))), known);
            }
        }

        return [.. found.Distinct(StringComparer.Ordinal)];
    }
}
