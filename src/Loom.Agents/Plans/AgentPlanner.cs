using System.Collections.Immutable;
using System.Globalization;
using Loom.Agents.Discovery;
using Loom.Agents.Settings;
using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Agents.Plans;

/// <summary>Plans one agent: its processes, one for each replica, what it waits for and what reloads it.</summary>
/// <param name="settings">The configuration.</param>
/// <param name="files">The disk.</param>
/// <param name="surroundings">Addresses, ports and what the command line said.</param>
/// <param name="scripts">Scripts of all agents of the project.</param>
/// <param name="report">Told what is wrong.</param>
internal sealed class AgentPlanner(
    SettingsSnapshot settings, ISettingsFiles files, PlanSurroundings surroundings, ImmutableArray<string> scripts, Action<Finding> report)
{
    private readonly AgentEnvironment _environments = new(settings, files, report);
    private readonly ImmutableDictionary<string, string> _secrets = SecretValues.From(settings);

    /// <summary>The plan; null when nothing can run it, which was reported.</summary>
    public AgentPlan? Plan(RosterAgent agent)
    {
        // Its end ends the run: there is one end, so there is one of it.
        var replicas = agent.IsMain ? 1 : (int)settings.Get(AgentSettings.Replicas, agent.Name);
        var processes = ImmutableArray.CreateBuilder<ProcessPlan>(replicas);
        for (var replica = 0; replica < replicas; replica++)
        {
            if (Process(agent, ProcessName(agent.Name, replica, replicas), replica) is not { } process)
            {
                return null;
            }

            processes.Add(process);
        }

        return new AgentPlan
        {
            Name = agent.Name,
            Processes = processes.ToImmutable(),
            DependsOn = surroundings.Kind == RosterKind.Script ? [] : [.. Dependencies(agent.Name)],
            RestartsWithDependencies = settings.Get(AgentSettings.OnDependencyRestart, agent.Name) == DependencyRestart.Restart,
            Watch = WatchPlanner.Plan(settings, agent, surroundings.Watch, scripts, script => Python(agent, script)),
            Script = agent.Script,
            IsMain = agent.IsMain,
        };
    }

    /// <summary>Id of one replica.</summary>
    public static string ProcessName(string agent, int replica, int replicas) =>
        replicas == 1 ? agent : string.Create(CultureInfo.InvariantCulture, $"{agent}-{replica + 1}");

    private ProcessPlan? Process(RosterAgent agent, string name, int replica)
    {
        var ports = Ports(agent.Name, name);
        var late = Late(replica, ports);
        var environment = _environments.Build(agent.Name, name, replica, ports, surroundings, late);
        if (Command(agent, environment, late) is not { } command)
        {
            return null;
        }

        var single = surroundings.Kind == RosterKind.Script;
        var logs = settings.Get(RuntimeSettings.LogsDir);
        return new ProcessPlan
        {
            Name = name,
            Kind = ProcessKind.Agent,
            Command = command,
            WorkingDirectory = LateReference.Fill(settings.Get(AgentSettings.Child.Cwd, agent.Name), late),
            Environment = environment,
            Restart = single || agent.IsMain ? RestartPolicy.Never : ChildReading.Restart(settings, AgentSettings.Child, agent.Name),
            Ready = ProbeReading.Ready(settings, agent.Name, late, linesAreRead: !single),
            Live = ProbeReading.Live(settings, agent.Name, late),
            SuccessCodes = Codes(AgentSettings.SuccessCodes, agent.Name),
            FatalCodes = Codes(AgentSettings.FatalCodes, agent.Name),
            Grace = settings.Get(AgentSettings.Grace, agent.Name),
            StopSignal = (int)settings.Get(AgentSettings.StopSignal, agent.Name),
            StopCommand = Filled(settings.Get(AgentSettings.StopCommand, agent.Name), late),
            Limits = ChildReading.Limits(settings, AgentSettings.Child, agent.Name),
            Console = single ? ProcessConsole.Terminal : ProcessConsole.Captured,
            Replica = replica,
            LogPath = Path.Combine(logs, name + ".log"),
            ErrorLogPath = Path.Combine(logs, name + ".err"),
            Log = ChildReading.Log(settings, AgentSettings.Child, agent.Name, Secrets(agent.Name, name, environment)),
        };
    }

    private ImmutableArray<string>? Command(RosterAgent agent, ImmutableDictionary<string, string> environment, Func<string, string?> late)
    {
        var own = settings.Get(AgentSettings.Command, agent.Name);
        ImmutableArray<string> arguments = [.. Filled(settings.Get(AgentSettings.Args, agent.Name), late), .. agent.IsMain ? surroundings.ScriptArguments : []];
        if (agent.Script is { } script)
        {
            return Interpreters.Command(LateReference.Fill(script, late), World(environment), out _) is { } command
                ? [.. command, .. Separator(command, arguments), .. arguments]
                : null;
        }

        return own.IsEmpty ? null
            : settings.Get(AgentSettings.Shell, agent.Name) ? ["/bin/sh", "-c", LateReference.Fill(own[0], late)]
            : Filled(own, late);
    }

    // `dotnet run` takes options until it sees this.
    private static ImmutableArray<string> Separator(ImmutableArray<string> command, ImmutableArray<string> arguments) =>
        command is [_, "run", ..] && Path.GetFileName(command[0]) == "dotnet" && !arguments.IsEmpty ? ["--"] : [];

    private ImmutableArray<string>? Python(RosterAgent agent, string script) =>
        Interpreters.Python(script, World(_environments.Own(agent.Name, Late(0, ImmutableSortedDictionary<string, int>.Empty)).ToImmutable()), out _);

    private InterpreterWorld World(IReadOnlyDictionary<string, string> environment) =>
        new(settings.ProjectFolder, settings.GetOrNull(RuntimeSettings.Python), environment, files);

    private ImmutableSortedDictionary<string, int> Ports(string agent, string process) =>
        settings.Names("agents.*.ports", agent).ToImmutableSortedDictionary(
            port => port,
            port => settings.Get(AgentSettings.Ports, agent, port) is > 0 and var given ? (int)given : surroundings.FreePort($"{process}.{port}"),
            StringComparer.Ordinal);

    private Func<string, string?> Late(int replica, ImmutableSortedDictionary<string, int> ports) => name => name switch
    {
        "agent.replica" => replica.ToString(CultureInfo.InvariantCulture),
        "run.id" => surroundings.RunId,
        _ when name.StartsWith("port.", StringComparison.Ordinal) && ports.TryGetValue(name[5..], out var port) => port.ToString(CultureInfo.InvariantCulture),
        _ => null,
    };

    private IEnumerable<Dependency> Dependencies(string agent)
    {
        foreach (var target in settings.Names("agents.*.depends_on", agent))
        {
            var until = settings.Get(AgentSettings.DependsOn, agent, target);
            if (target.StartsWith("pools.", StringComparison.Ordinal))
            {
                yield return new Dependency(target["pools.".Length..], DependencyKind.Pool, until);
            }
            else if (!target.StartsWith("mcp.", StringComparison.Ordinal))
            {
                yield return new Dependency(target, DependencyKind.Agent, until);
            }
        }
    }

    private ImmutableDictionary<string, string> Secrets(string agent, string process, ImmutableDictionary<string, string> environment)
    {
        if (!settings.Get(AgentSettings.Child.LogRedact, agent))
        {
            return ImmutableDictionary<string, string>.Empty;
        }

        var secrets = SecretValues.With(_secrets, process, environment).ToBuilder();
        foreach (var name in settings.Get(AgentSettings.Secrets, agent))
        {
            if (environment.TryGetValue(name, out var value) && value.Length >= SecretMask.Shortest)
            {
                secrets[name] = value;
            }
        }

        return secrets.ToImmutable();
    }

    private ImmutableArray<int> Codes(Setting<ImmutableArray<long>> setting, string agent) => [.. settings.Get(setting, agent).Select(c => (int)c)];

    private static ImmutableArray<string> Filled(ImmutableArray<string> texts, Func<string, string?> late) => [.. texts.Select(t => LateReference.Fill(t, late))];
}
