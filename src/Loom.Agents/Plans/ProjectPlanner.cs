using System.Collections.Immutable;
using Loom.Agents.Discovery;
using Loom.Agents.Settings;
using Loom.Core.Settings;

namespace Loom.Agents.Plans;

/// <summary>A plan, and what is wrong with it.</summary>
/// <param name="Plan">What could be planned; with errors a best effort that must not be started.</param>
/// <param name="Faults">Errors, also those a load with <see cref="AgentRules"/> has told; no warnings of those.</param>
public sealed record Planning(ProjectPlan Plan, ImmutableArray<Fault> Faults);

/// <summary>Turns the configuration and the scripts of a project into what its supervisor runs. Asks the disk, changes nothing.</summary>
public static class ProjectPlanner
{
    /// <summary>Plans.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="files">The disk.</param>
    /// <param name="surroundings">Addresses, ports and what the command line said.</param>
    public static Planning Plan(SettingsSnapshot settings, ISettingsFiles files, PlanSurroundings surroundings)
    {
        var findings = new List<Finding>();
        void Report(Finding finding) => findings.Add(finding);
        var roster = new Roster(settings, files, Report).Read(surroundings.Kind, surroundings.Scripts);
        AgentChecks.Run(settings, files, roster, Report);
        var planner = new AgentPlanner(settings, files, surroundings, [.. roster.Select(a => a.Script).OfType<string>()], Report);
        var plan = new ProjectPlan
        {
            ProjectFolder = settings.ProjectFolder,
            Name = settings.GetOrNull(SharedSettings.Name) ?? Path.GetFileName(settings.ProjectFolder),
            Agents = [.. roster.Where(a => a.Enabled || a.IsMain).Select(planner.Plan).OfType<AgentPlan>()],
        };
        return new Planning(plan, [.. findings.Where(f => f.Severity == FaultSeverity.Error).Distinct().Select(f => Fault(settings, f))]);
    }

    /// <summary>
    /// The environment of an agent as far as it is known before a start: no address that is bound later, no id of the run. For a name without a table, what any agent gets.
    /// </summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="files">The disk.</param>
    /// <param name="agent">Its name.</param>
    public static ImmutableDictionary<string, string> EnvironmentOf(SettingsSnapshot settings, ISettingsFiles files, string agent) =>
        new AgentEnvironment(settings, files, static _ => { }).Build(agent, agent, 0, ImmutableSortedDictionary<string, int>.Empty,
            new PlanSurroundings { RunId = "", FreePort = static _ => 0 }, static _ => null);

    private static Fault Fault(SettingsSnapshot settings, Finding finding) => new()
    {
        Severity = finding.Severity,
        Code = finding.Code,
        Key = finding.Key,
        Source = settings.SourceOf(finding.Key) ?? (finding.File is null ? SettingSource.Default : new SettingSource(SettingLayer.File, File: finding.File)),
        Message = finding.Message,
        Fix = finding.Fix,
        Rule = finding.Rule,
    };
}
