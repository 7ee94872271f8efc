using System.Collections.Immutable;
using Loom.Agents.Plans;
using Loom.Core.Settings;

namespace Loom.Agents.Settings;

/// <summary>Settings of <c>[agents.NAME]</c>.</summary>
public static class AgentSettings
{
    internal static readonly Setting<ImmutableArray<string>> Command = Setting.Command("agents.*.command", "Program and arguments; a single text only with shell.");

    internal static readonly Setting<bool> Shell = Setting.Bool("agents.*.shell", "Run the command text through /bin/sh -c.", "false");

    internal static readonly Setting<string> Script = Setting.Path("agents.*.script", "Script run by its interpreter; not together with command.");

    internal static readonly Setting<ImmutableArray<string>> Args = Setting.List("agents.*.args", "Arguments of the script.");

    internal static readonly Setting<bool> Enabled = Setting.Bool("agents.*.enabled", "Start it.", "true");

    internal static readonly Setting<Secret> Env = Setting.Hidden("agents.*.env.*", "Variables added to the agent's environment.");

    internal static readonly Setting<ImmutableArray<string>> InheritEnv = Setting.Selection("agents.*.inherit_env",
        "Variables handed down: true = all, false = none, or a list of names.", "true");

    internal static readonly Setting<ImmutableArray<string>> Topics = Setting.List("agents.*.topics", "Topics the agent is told to subscribe to.");

    internal static readonly Setting<string> Llm = Setting.String("agents.*.llm", "Name of its provider (llm_provider is the same key).");

    internal static readonly Setting<string> ThinkingStrategy = Setting.String("agents.*.thinking_strategy", "Handed to the agent.");

    internal static readonly Setting<long> MaxIterations = Setting.Int("agents.*.max_iterations", "Handed to the agent.", min: "1", max: "1000000");

    internal static readonly Setting<FreeValue> Config = Setting.Free("agents.*.config.*", "Free table handed to the agent as JSON.");

    internal static readonly Setting<DependencyCondition> DependsOn = Setting.Enum<DependencyCondition>("agents.*.depends_on.*",
        "State another process must reach first; a list of names means ready.",
        [
            ("started", DependencyCondition.Started), ("ready", DependencyCondition.Ready), ("succeeded", DependencyCondition.Succeeded),
            ("ended", DependencyCondition.Ended),
        ], "ready");

    internal static readonly Setting<DependencyRestart> OnDependencyRestart = Setting.Enum<DependencyRestart>("agents.*.on_dependency_restart",
        "What a restart of a dependency leads to.", [("ignore", DependencyRestart.Ignore), ("restart", DependencyRestart.Restart)], "ignore");

    internal static readonly ProbeRows Ready = new("agents.*.ready", "ready", "1");

    internal static readonly Setting<string> ReadyLog = Setting.String("agents.*.ready.log", "An output line that matches this regular expression means ready.");

    internal static readonly Setting<TimeSpan> ReadyWithin = Setting.Duration("agents.*.ready.within", "Time allowed to become ready.", "60", min: "0.1", max: "86400");

    internal static readonly ProbeRows Live = new("agents.*.live", "alive", "10");

    internal static readonly Setting<long> LiveFailures = Setting.Int("agents.*.live.failures", "Failed probes in a row that count as a crash.", "3", min: "1", max: "100");

    internal static readonly Setting<long> Ports = Setting.Int("agents.*.ports.*", "Named port; 0 = chosen by Loom.", "0", min: "0", max: "65535", unit: "port");

    internal static readonly Setting<TimeSpan> Grace = Setting.Duration("agents.*.grace", "Time between TERM and KILL.", "{supervisor.grace.agents}", min: "0", max: "3600");

    internal static readonly Setting<StopSignal> StopSignal = Setting.Enum<StopSignal>("agents.*.stop.signal", "First signal of a stop.",
        [
            ("TERM", Settings.StopSignal.Term), ("INT", Settings.StopSignal.Int), ("HUP", Settings.StopSignal.Hup), ("QUIT", Settings.StopSignal.Quit),
            ("USR1", Settings.StopSignal.Usr1), ("USR2", Settings.StopSignal.Usr2),
        ], "TERM");

    internal static readonly Setting<ImmutableArray<string>> StopCommand = Setting.Command("agents.*.stop.command", "Command run first, inside the grace.");

    internal static readonly Setting<ImmutableArray<string>> WatchPaths = Setting.List("agents.*.watch.paths",
        "Paths whose change reloads the agent; watch = true means the script's folder.", unit: "path");

    internal static readonly Setting<ImmutableArray<string>> WatchInclude = Setting.List("agents.*.watch.include", "Globs watched.");

    internal static readonly Setting<ImmutableArray<string>> WatchExclude = Setting.List("agents.*.watch.exclude", "Globs left out.");

    internal static readonly Setting<TimeSpan> WatchDebounce = Setting.Duration("agents.*.watch.debounce", "Quiet time before a change acts.", "300", min: "0", max: "60000",
        unit: "ms");

    internal static readonly Setting<ImmutableArray<string>> WatchCheck = Setting.Command("agents.*.watch.check", "Command that must pass before a reload; unset = by language.");

    internal static readonly Setting<bool> WatchCascade = Setting.Bool("agents.*.watch.cascade", "Reload the agents that depend on it too.", "false");

    internal static readonly Setting<long> Replicas = Setting.Int("agents.*.replicas", "Copies to run.", "1", min: "0", max: "256");

    internal static readonly Setting<ImmutableArray<string>> Secrets = Setting.Set("agents.*.secrets", "Names of its variables whose values are masked.");

    internal static readonly Setting<ImmutableArray<long>> SuccessCodes = Setting.IntList("agents.*.success_codes", "Exit codes that count as success.", "0", min: "0", max: "255");

    internal static readonly Setting<ImmutableArray<long>> FatalCodes = Setting.IntList("agents.*.fatal_codes",
        "Exit codes after which it is not started again.", "125", min: "0", max: "255");

    internal static readonly ChildRows Child = new("agents.*", "agent", "on-failure");

    /// <summary>What makes an agent watched when any of it is given.</summary>
    internal static ImmutableArray<Setting> Watch { get; } = [WatchPaths, WatchInclude, WatchExclude, WatchDebounce, WatchCheck, WatchCascade];

    /// <summary>Every row of this subject.</summary>
    public static ImmutableArray<Setting> All { get; } =
    [
        Command, Shell, Script, Args, Enabled, Env, InheritEnv, Topics, Llm, ThinkingStrategy, MaxIterations, Config, DependsOn, OnDependencyRestart,
        .. Ready.All, ReadyLog, ReadyWithin, .. Live.All, LiveFailures, Ports, Grace, StopSignal, StopCommand, .. Watch, Replicas, Secrets,
        SuccessCodes, FatalCodes, .. Child.All,
    ];
}

/// <summary>What a restart of a dependency leads to.</summary>
internal enum DependencyRestart
{
    Ignore,
    Restart,
}

/// <summary>Signals a stop may begin with; the values are those of the kernel.</summary>
internal enum StopSignal
{
    Hup = 1,
    Int = 2,
    Quit = 3,
    Usr1 = 10,
    Usr2 = 12,
    Term = 15,
}
