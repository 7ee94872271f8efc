using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Processes;

namespace Loom.Fast.Tests.Orchestration;

/// <summary>Short ways to write plans.</summary>
internal static class Plans
{
    internal static ProjectPlan Project(params AgentPlan[] agents) => new() { ProjectFolder = "/p", Name = "p", Agents = [.. agents] };

    /// <summary>An agent that depends on <c>NAME</c> (ready), <c>NAME:condition</c> or <c>pools.NAME</c>.</summary>
    internal static AgentPlan Agent(string name, params string[] dependsOn) => Replicated(name, 1, dependsOn);

    internal static AgentPlan Replicated(string name, int replicas, params string[] dependsOn) => new()
    {
        Name = name,
        Processes = [.. Enumerable.Range(0, replicas).Select(i => Process(replicas == 1 ? name : $"{name}-{i + 1}") with { Replica = i })],
        DependsOn = [.. dependsOn.Select(Dependency)],
    };

    internal static AgentPlan With(this AgentPlan agent, Func<ProcessPlan, ProcessPlan> change) => agent with { Processes = [.. agent.Processes.Select(change)] };

    internal static ProcessPlan Process(string name) => new()
    {
        Name = name,
        Kind = ProcessKind.Agent,
        Command = [name],
        WorkingDirectory = "/",
        Environment = ImmutableDictionary<string, string>.Empty,
        LogPath = $"/{name}.log",
    };

    private static Dependency Dependency(string text)
    {
        var parts = text.Split(':');
        var until = parts.Length == 1 ? DependencyCondition.Ready : Enum.Parse<DependencyCondition>(parts[1], ignoreCase: true);
        return parts[0].StartsWith("pools.", StringComparison.Ordinal)
            ? new Dependency(parts[0][6..], DependencyKind.Pool, until)
            : new Dependency(parts[0], DependencyKind.Agent, until);
    }
}
