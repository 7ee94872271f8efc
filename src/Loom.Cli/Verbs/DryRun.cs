using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Core.Settings;

namespace Loom.Cli.Verbs;

/// <summary><c>up --dry-run</c>: what would run, and in which order. No environment is shown: it may hold secrets.</summary>
internal static class DryRun
{
    /// <summary>Shows the plan on stdout.</summary>
    public static void Show(VerbContext context, HomePlan plan)
    {
        var document = Of(plan);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(JsonSerializer.Serialize(document, DryRunJson.Default.DryRunDocument));
            return;
        }

        var rows = new List<string[]> { new[] { "STEP", "NAME", "KIND", "AFTER", "RUNS" } };
        rows.AddRange(document.Pools.Select(p => new[] { "1", p.Name, "pool", "", $"{p.Engine}, model {string.Join(", ", p.Models)}" }));
        rows.AddRange(document.Systems.Select(s => new[] { s.Autostart ? "1" : "-", s.Name, "system", "", s.Folder }));
        rows.AddRange(document.Agents.Select(a => new[]
        {
            a.Step.ToString(CultureInfo.InvariantCulture), a.Name, "agent", string.Join(", ", a.After), string.Join(' ', a.Command),
        }));
        context.Terminal.Table(rows);
    }

    private static DryRunDocument Of(HomePlan plan)
    {
        var agents = Chosen(plan.Agents("dry-run", null).Plan.Agents, plan.Wish);
        var steps = Steps(agents);
        return new DryRunDocument(
            1,
            [.. plan.Serving?.Node.Pools.Select(p => new DryRunPool(p.Id, p.Engine.Kind.ToString(), p.Models)) ?? []],
            [.. plan.Systems.Select(s => new DryRunSystem(Path.GetFileName(s.Folder.TrimEnd('/')), s.Folder, s.Autostart))],
            [
                .. from agent in agents
                   from process in agent.Processes
                   orderby steps[agent.Name]
                   select new DryRunAgent(
                       steps[agent.Name], process.Name, [.. agent.DependsOn.Select(d => $"{Target(d)} {d.Until.ToString().ToLowerInvariant()}")], [.. process.Command.Select(new SecretMask(process.Log.Secrets).Apply)], process.WorkingDirectory),
            ]);
    }

    /// <summary>The agents named, and what they depend on.</summary>
    private static ImmutableArray<AgentPlan> Chosen(ImmutableArray<AgentPlan> agents, AgentWish wish)
    {
        if (wish.Names is not { } names)
        {
            return agents;
        }

        var graph = new AgentGraph(agents);
        var chosen = new HashSet<string>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            var agent = agents.FirstOrDefault(a => a.Name == name || a.Processes.Any(p => p.Name == name))
                ?? throw new CliError(ExitCode.NotRunning, "UNKNOWN_AGENT", $"there is no agent '{name}'; there are: {string.Join(", ", agents.Select(a => a.Name))}", "loom up --dry-run");
            chosen.Add(agent.Name);
            chosen.UnionWith(wish.WithDependencies ? graph.AllOf(agent.Name) : Enumerable.Empty<string>());
        }

        return [.. agents.Where(a => chosen.Contains(a.Name))];
    }

    private static string Target(Dependency dependency) => dependency.On == DependencyKind.Pool ? "pools." + dependency.Target : dependency.Target;

    /// <summary>The earliest step at which each agent can start: one after the last of what it waits for; pools are step 1. Cycles were refused before.</summary>
    private static Dictionary<string, int> Steps(ImmutableArray<AgentPlan> agents)
    {
        var byName = agents.ToDictionary(a => a.Name, StringComparer.Ordinal);
        var steps = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var agent in agents)
        {
            StepOf(agent);
        }

        return steps;

        int StepOf(AgentPlan agent)
        {
            if (!steps.TryGetValue(agent.Name, out var step))
            {
                step = 1 + agent.DependsOn.Select(d => d.On == DependencyKind.Pool ? 1 : byName.TryGetValue(d.Target, out var target) ? StepOf(target) : 0).DefaultIfEmpty().Max();
                steps[agent.Name] = step;
            }

            return step;
        }
    }
}

/// <summary>The document of <c>up --dry-run --json</c>.</summary>
internal sealed record DryRunDocument(int Schema, ImmutableArray<DryRunPool> Pools, ImmutableArray<DryRunSystem> Systems, ImmutableArray<DryRunAgent> Agents);

internal sealed record DryRunPool(string Name, string Engine, ImmutableArray<string> Models);

internal sealed record DryRunSystem(string Name, string Folder, bool Autostart);

internal sealed record DryRunAgent(int Step, string Name, ImmutableArray<string> After, ImmutableArray<string> Command, string Cwd);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DryRunDocument))]
internal sealed partial class DryRunJson : JsonSerializerContext;
