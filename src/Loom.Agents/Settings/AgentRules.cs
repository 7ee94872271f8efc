using System.Collections.Immutable;
using Loom.Agents.Discovery;
using Loom.Agents.Plans;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Cross rules about agents: what the planner would find is told by <c>config check</c> too, with its place.</summary>
public static class AgentRules
{
    /// <summary>All of them; see <see cref="ProjectRules"/>.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } = [Agents, CommandTexts, Listeners];

    private static void Agents(Draft draft)
    {
        if (draft.Part != LoomPart.Up)
        {
            return;
        }

        var findings = new List<Finding>();
        var roster = new Roster(draft.Settings, draft.Request.Files, findings.Add).Read(RosterKind.Project, []);
        AgentChecks.Run(draft.Settings, draft.Request.Files, roster, findings.Add);
        foreach (var finding in findings.Distinct().Where(f => !draft.IsAtFault(f.Key) && !f.Premises.Any(draft.IsAtFault)).ToList())
        {
            draft.Report(finding.Code, finding.Key, finding.Message, finding.Fix, finding.Severity, finding.Rule, finding.File);
        }
    }

    // A text is no argument vector; whether it was one is seen only here.
    private static void CommandTexts(Draft draft)
    {
        foreach (var agent in draft.Names("agents"))
        {
            var key = Draft.Key("agents", agent, "command");
            if (draft.Part == LoomPart.Up && draft.IsText(key) && !draft.Settings.Get(AgentSettings.Shell, agent))
            {
                var text = draft.Settings.Get(AgentSettings.Command, agent);
                draft.Report("R10", key, "a command text needs a shell", text is [var only] && !only.Contains('"', StringComparison.Ordinal)
                    ? $"command = [{string.Join(", ", only.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(w => $"\"{w}\""))}], or shell = true"
                    : "shell = true, or write it as a list");
            }
        }
    }

    // Loom's own ports count where somebody chose them: a default may never be bound.
    private static void Listeners(Draft draft)
    {
        var own = new Dictionary<long, string>();
        foreach (var key in (string[])["serving.bind", "serving.node.bind", "bridge.address"])
        {
            if (draft.IsGiven(key) && draft.Value<HostPort>(key) is { Port: > 0 } address && !(key == "bridge.address" && BridgeSettings.IsElsewhere(address)))
            {
                own.TryAdd(address.Port, key);
            }
        }

        foreach (var key in (string[])["telemetry.metrics_port", "dashboard.port"])
        {
            if (draft.IsGiven(key) && draft.Value<long?>(key) is > 0 and var port)
            {
                own.TryAdd(port, key);
            }
        }

        foreach (var agent in draft.Part == LoomPart.Up ? draft.Names("agents") : [])
        {
            foreach (var name in draft.Names(Draft.Key("agents", agent, "ports")))
            {
                if (draft.Settings.Get(AgentSettings.Enabled, agent) && own.TryGetValue(draft.Settings.Get(AgentSettings.Ports, agent, name), out var other))
                {
                    draft.Report("R7", Draft.Key("agents", agent, "ports", name), $"the port is also that of {other}", "give one of them another port, or 0 for any free one");
                }
            }
        }
    }
}
