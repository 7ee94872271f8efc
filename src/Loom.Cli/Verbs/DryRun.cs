using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Agents.Plans;
using Loom.Cli.Composition;

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
        rows.AddRange(document.Agents.Select(a => new[]
        {
            a.Step.ToString(CultureInfo.InvariantCulture), a.Name, "agent", string.Join(", ", a.After), string.Join(' ', a.Command),
        }));
        context.Terminal.Table(rows);
    }

    private static DryRunDocument Of(HomePlan plan)
    {
        var agents = plan.Agents("dry-run", null).Plan.Agents;
        var steps = Steps(agents);
        return new DryRunDocument(
            1,
            [.. plan.Serving?.Node.Pools.Select(p => new DryRunPool(p.Id, p.Engine.Kind.ToString(), p.Models)) ?? []],
            [
                .. from agent in agents
                   from process in agent.Processes
                   orderby steps[agent.Name]
                   select new DryRunAgent(
                       steps[agent.Name], process.Name, [.. agent.DependsOn.Select(d => $"{Target(d)} {d.Until.ToString().ToLowerInvariant()}")], process.Command, process.WorkingDirectory),
            ]);
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
internal sealed record DryRunDocument(int Schema, ImmutableArray<DryRunPool> Pools, ImmutableArray<DryRunAgent> Agents);

internal sealed record DryRunPool(string Name, string Engine, ImmutableArray<string> Models);

internal sealed record DryRunAgent(int Step, string Name, ImmutableArray<string> After, ImmutableArray<string> Command, string Cwd);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(DryRunDocument))]
internal sealed partial class DryRunJson : JsonSerializerContext;
