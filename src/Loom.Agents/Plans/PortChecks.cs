using System.Collections.Immutable;
using System.Globalization;
using Loom.Agents.Discovery;
using Loom.Agents.Settings;
using Loom.Core.Settings;

namespace Loom.Agents.Plans;

/// <summary>Ports and ids that two processes would share, and references to ports nobody has.</summary>
internal static class PortChecks
{
    public static void Run(SettingsSnapshot settings, ImmutableArray<RosterAgent> roster, Action<Finding> report)
    {
        var ports = new Dictionary<long, string>();
        var ids = roster.ToDictionary(a => a.Name, a => a.Name, StringComparer.Ordinal);
        foreach (var agent in roster.Where(a => a.Enabled))
        {
            var replicas = (int)settings.Get(AgentSettings.Replicas, agent.Name);
            var variables = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var name in settings.Names("agents.*.ports", agent.Name))
            {
                Port(settings, agent.Name, name, replicas, ports, report);
                if (!variables.TryAdd(AgentEnvironment.PortVariable(name), name))
                {
                    report(Finding.Of("R11", $"agents.{KeyText.Quoted(agent.Name)}.ports.{KeyText.Quoted(name)}",
                        $"'{name}' and '{variables[AgentEnvironment.PortVariable(name)]}' are both {AgentEnvironment.PortVariable(name)}", "rename one of them"));
                }
            }

            for (var replica = 0; replicas > 1 && replica < replicas; replica++)
            {
                var id = AgentPlanner.ProcessName(agent.Name, replica, replicas);
                if (!ids.TryAdd(id, agent.Name))
                {
                    report(Finding.Of("R11", $"agents.{KeyText.Quoted(agent.Name)}.replicas", $"copy {replica + 1} of '{agent.Name}' would be called '{id}', as another agent is", "rename one of them"));
                }
            }

            foreach (var (key, text) in Texts(settings, agent.Name))
            {
                References(settings, agent.Name, key, text, report);
            }
        }
    }

    private static void Port(SettingsSnapshot settings, string agent, string name, int replicas, Dictionary<long, string> ports, Action<Finding> report)
    {
        var key = $"agents.{KeyText.Quoted(agent)}.ports.{KeyText.Quoted(name)}";
        if (!IsName(name))
        {
            report(new Finding(FaultCode.Type, key, $"'{Redaction.Plain(name)}' cannot name a port: {AgentName.Grammar}", "http = 0"));
        }

        var port = settings.Get(AgentSettings.Ports, agent, name);
        if (port != 0 && !ports.TryAdd(port, key))
        {
            report(Finding.Of("R7", key, string.Create(CultureInfo.InvariantCulture, $"port {port} is also that of {ports[port]}"), "give one of them another port, or 0 for any free one"));
        }
        else if (port != 0 && replicas > 1)
        {
            report(Finding.Of("R7", key, string.Create(CultureInfo.InvariantCulture, $"{replicas} copies cannot share port {port}"), $"{KeyText.Quoted(name)} = 0: each copy gets its own"));
        }
    }

    private static bool IsName(string name) => AgentName.IsValid(name);

    private static void References(SettingsSnapshot settings, string agent, string key, string text, Action<Finding> report)
    {
        foreach (var name in LateReference.Names(text))
        {
            if (name.StartsWith("port.", StringComparison.Ordinal) && !settings.Names("agents.*.ports", agent).Contains(name[5..], StringComparer.Ordinal))
            {
                report(new Finding(FaultCode.BadReference, key, $"there is no port '{name[5..]}'", $"ports = {{ {KeyText.Quoted(name[5..])} = 0 }} in [agents.{KeyText.Quoted(agent)}]"));
            }
        }
    }

    // Every text of an agent that may hold a reference.
    private static IEnumerable<(string Key, string Text)> Texts(SettingsSnapshot settings, string agent)
    {
        var table = $"agents.{KeyText.Quoted(agent)}";
        Setting<ImmutableArray<string>>[] lists =
        [
            AgentSettings.Command, AgentSettings.Args, AgentSettings.Topics, AgentSettings.Ready.Exec, AgentSettings.Live.Exec, AgentSettings.StopCommand,
            AgentSettings.WatchPaths, AgentSettings.WatchCheck,
        ];
        foreach (var list in lists)
        {
            foreach (var item in settings.Get(list, agent))
            {
                yield return (table + list.Key["agents.*".Length..], item);
            }
        }

        Setting<string>[] texts =
        [
            AgentSettings.Script, AgentSettings.Child.Cwd, AgentSettings.ThinkingStrategy, AgentSettings.Ready.Http, AgentSettings.Ready.Tcp, AgentSettings.ReadyLog,
            AgentSettings.Live.Http, AgentSettings.Live.Tcp,
        ];
        foreach (var text in texts)
        {
            if (settings.GetOrNull(text, agent) is { } value)
            {
                yield return (table + text.Key["agents.*".Length..], value);
            }
        }

        foreach (var name in settings.Names("agents.*.env", agent))
        {
            yield return ($"{table}.env.{KeyText.Quoted(name)}", settings.Get(AgentSettings.Env, agent, name).Reveal());
        }

        foreach (var name in settings.Names("agents.*.config", agent))
        {
            foreach (var text in settings.Get(AgentSettings.Config, agent, name).Texts())
            {
                yield return ($"{table}.config.{KeyText.Quoted(name)}", text);
            }
        }
    }
}
