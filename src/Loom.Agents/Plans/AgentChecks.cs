using System.Collections.Immutable;
using System.Text.RegularExpressions;
using Loom.Agents.Discovery;
using Loom.Agents.Settings;
using Loom.Core.Settings;

namespace Loom.Agents.Plans;

/// <summary>What is wrong with agents beyond the type of a value: R10, R11 and R12 as they concern them, and what no interpreter can run.</summary>
internal static class AgentChecks
{
    /// <summary>Judges all of them.</summary>
    public static void Run(SettingsSnapshot settings, ISettingsFiles files, ImmutableArray<RosterAgent> roster, Action<Finding> report)
    {
        DependencyChecks.Run(settings, roster, report);
        PortChecks.Run(settings, roster, report);
        var environments = new AgentEnvironment(settings, files, report);
        foreach (var agent in roster.Where(a => a.Enabled || a.IsMain))
        {
            var key = $"agents.{KeyText.Quoted(agent.Name)}";
            Command(settings, agent, key, report);
            Probes(settings, agent.Name, key, report);
            Provider(settings, agent.Name, key, report);
            if (settings.Get(AgentSettings.Child.Backoff, agent.Name) is { } backoff && backoff.First > backoff.Last)
            {
                report(Finding.Of("R12", $"{key}.restart.backoff", $"the first delay of {backoff} is above the last", "backoff = \"1s..60s\""));
            }

            if (WatchPlanner.IsGiven(settings, agent.Name) && agent.Script is null && settings.Get(AgentSettings.WatchPaths, agent.Name).IsEmpty)
            {
                report(Finding.Of("R10", $"{key}.watch.paths", "a command has no folder of its own to watch", "watch = { paths = [\"src\"] }"));
            }

            Interpreter(settings, files, agent, key, environments, report);
        }
    }

    private static void Command(SettingsSnapshot settings, RosterAgent agent, string key, Action<Finding> report)
    {
        var command = settings.Get(AgentSettings.Command, agent.Name);
        if (settings.Get(AgentSettings.Shell, agent.Name) && command.Length != 1)
        {
            report(Finding.Of("R10", $"{key}.shell", command.IsEmpty ? "shell needs a command text" : "with shell the command is one text, not a list", "command = \"echo one && echo two\"") with
            {
                Premises = [$"{key}.command"],
            });
        }

        if (!command.IsEmpty && agent.Script is null && !settings.Get(AgentSettings.Args, agent.Name).IsEmpty)
        {
            report(Finding.Of("R10", $"{key}.args", "args belong to a script", "put them into command"));
        }
    }

    private static void Probes(SettingsSnapshot settings, string agent, string key, Action<Finding> report)
    {
        Probe(settings, AgentSettings.Ready, "ready", settings.GetOrNull(AgentSettings.ReadyLog, agent) is null ? [] : ["log"], [AgentSettings.ReadyWithin]);
        Probe(settings, AgentSettings.Live, "live", [], [AgentSettings.LiveFailures]);
        if (settings.GetOrNull(AgentSettings.ReadyLog, agent) is { } pattern)
        {
            try
            {
                _ = new Regex(LateReference.Fill(pattern, static _ => "1"), RegexOptions.CultureInvariant, TimeSpan.FromMilliseconds(100));
            }
            catch (ArgumentException e)
            {
                report(new Finding(FaultCode.Type, $"{key}.ready.log", $"not a regular expression: {e.Message}", "escape special characters with \\\\, or quote with '...'"));
            }
        }

        void Probe(SettingsSnapshot settings, ProbeRows rows, string table, string[] more, Setting[] others)
        {
            List<string> kinds = [.. more];
            kinds.AddRange(settings.GetOrNull(rows.Http, agent) is null ? [] : ["http"]);
            kinds.AddRange(settings.GetOrNull(rows.Tcp, agent) is null ? [] : ["tcp"]);
            kinds.AddRange(settings.Get(rows.Exec, agent).IsEmpty ? [] : ["exec"]);
            if (kinds.Count > 1)
            {
                report(Finding.Of("R10", $"{key}.{table}.{kinds[^1]}", $"two kinds of probe: {string.Join(" and ", kinds)}", "keep one of them"));
            }
            else if (kinds.Count == 0 && rows.All.Concat(others).FirstOrDefault(s => settings.SourceOf(s, agent).IsGiven) is { } given)
            {
                report(Finding.Of("R10", $"{key}.{table}.{given.Segments[^1]}", $"{table} says nothing to look at",
                    table == "ready" ? "add one of http, tcp, exec and log" : "add one of http, tcp and exec") with
                {
                    Premises = [.. ((string[])["http", "tcp", "exec", "log"]).Select(k => $"{key}.{table}.{k}")],
                });
            }

            var status = settings.Get(rows.Status, agent);
            if (status is not [var first, var last])
            {
                report(new Finding(FaultCode.Type, $"{key}.{table}.status", "expected two numbers, the first and the last accepted status", "status = [200, 399]"));
            }
            else if (first > last)
            {
                report(Finding.Of("R12", $"{key}.{table}.status", $"the first status, {first}, is above the last, {last}", $"status = [{last}, {first}]"));
            }
        }
    }

    private static void Provider(SettingsSnapshot settings, string agent, string key, Action<Finding> report)
    {
        if (settings.GetOrNull(AgentSettings.Llm, agent) is not { } provider)
        {
            return;
        }

        var known = settings.Names("llm");
        if (!known.Contains(provider, StringComparer.Ordinal) && !(known.IsEmpty && provider == "local"))
        {
            var nearest = Nearest.Of(provider, known);
            report(Finding.Of("R11", $"{key}.llm", $"there is no provider '{Redaction.Plain(provider)}'",
                nearest is null ? $"add [llm.{KeyText.Quoted(provider)}]" : $"did you mean '{nearest}'? Otherwise add [llm.{KeyText.Quoted(provider)}]"));
        }
    }

    private static void Interpreter(
        SettingsSnapshot settings, ISettingsFiles files, RosterAgent agent, string key, AgentEnvironment environments, Action<Finding> report)
    {
        // Also for a command: its env files are read, and told of, here.
        var environment = environments.Own(agent.Name, static _ => null).ToImmutable();
        if (agent.Script is not { } script || LateReference.IsIn(script) || !files.Exists(script))
        {
            return;
        }

        var world = new InterpreterWorld(settings.ProjectFolder, settings.GetOrNull(RuntimeSettings.Python), environment, files);
        if (Interpreters.Command(script, world, out var missing) is null)
        {
            var shown = Path.GetRelativePath(settings.ProjectFolder, script);
            report(new Finding(FaultCode.File, agent.IsDeclared && settings.SourceOf($"{key}.script") is not null ? $"{key}.script" : key, $"{shown}: {missing.Message}", missing.Fix)
            {
                File = shown,
            });
        }
    }
}
