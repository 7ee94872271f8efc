using System.Collections.Immutable;
using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Agents.Settings;

/// <summary>How the project's runtime behaves.</summary>
public sealed record RuntimeOptions
{
    /// <summary>What <c>loom up</c> starts, default full (<c>runtime.mode</c>).</summary>
    public RuntimeMode Mode { get; init; }

    /// <summary>Absolute folder of captured output (<c>runtime.logs_dir</c>).</summary>
    public required string LogsDir { get; init; }

    /// <summary>Longest wait for core readiness, default 60 s (<c>runtime.startup_timeout</c>).</summary>
    public TimeSpan StartupTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest stop of everything, default 30 s (<c>runtime.shutdown_timeout</c>).</summary>
    public TimeSpan ShutdownTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether processes get cgroups of their own, default where possible (<c>runtime.cgroup</c>).</summary>
    public CgroupUse Cgroup { get; init; } = CgroupUse.Auto;

    /// <summary>Loom's own log lines as JSON objects (<c>runtime.log_format</c>).</summary>
    public bool JsonLog { get; init; }

    /// <summary>Reads the settings of this folder.</summary>
    public static RuntimeOptions From(SettingsSnapshot settings) => new()
    {
        Mode = settings.Get(RuntimeSettings.Mode),
        LogsDir = settings.Get(RuntimeSettings.LogsDir),
        StartupTimeout = settings.Get(RuntimeSettings.StartupTimeout),
        ShutdownTimeout = settings.Get(RuntimeSettings.ShutdownTimeout),
        Cgroup = settings.Get(RuntimeSettings.Cgroup),
        JsonLog = settings.Get(RuntimeSettings.LogFormat) == LogFormat.Json,
    };
}

/// <summary>Form of Loom's own log lines.</summary>
public enum LogFormat
{
    Text,
    Json,
}

/// <summary>What <c>loom up</c> starts.</summary>
public enum RuntimeMode
{
    /// <summary>Everything.</summary>
    Full,

    /// <summary>Agents and what they meet at; no API, engines or jobs.</summary>
    BridgeOnly,
}

/// <summary>Settings of the project's runtime.</summary>
public static class RuntimeSettings
{
    public static readonly Setting<RuntimeMode> Mode = Setting.Enum<RuntimeMode>(
        "runtime.mode", "What loom up starts: core, bridge and dashboard, or the bridge side alone.", [("full", RuntimeMode.Full), ("bridge-only", RuntimeMode.BridgeOnly)], "full",
        variables: ["LOOM_MODE"], source: "seeds/003");

    public static readonly Setting<string> LogsDir = Setting.Path("runtime.logs_dir", "Folder of captured output.", ".loom/logs", source: "seeds/003");

    public static readonly Setting<bool> Discover = Setting.Bool("runtime.discover", "Find agents in agents/.", "true");

    public static readonly Setting<string> Python = Setting.String("runtime.python", "Interpreter for .py agents; unset = detected.");

    public static readonly Setting<TimeSpan> StartupTimeout = Setting.Duration("runtime.startup_timeout", "Longest wait for core readiness.", "60", min: "1", max: "3600");

    public static readonly Setting<TimeSpan> ShutdownTimeout = Setting.Duration("runtime.shutdown_timeout", "Longest stop of everything.", "30", min: "1", max: "3600");

    public static readonly Setting<CgroupUse> Cgroup = Setting.Enum<CgroupUse>("runtime.cgroup", "Use of cgroup v2.",
        [("auto", CgroupUse.Auto), ("off", CgroupUse.Off), ("required", CgroupUse.Required)], "auto");

    public static readonly Setting<LogFormat> LogFormat = Setting.Enum(
        "runtime.log_format", "Form of Loom's own log lines.", [("text", Settings.LogFormat.Text), ("json", Settings.LogFormat.Json)], "text");

    /// <summary>Every row of this room.</summary>
    public static ImmutableArray<Setting> All { get; } = [Mode, LogsDir, Discover, Python, StartupTimeout, ShutdownTimeout, Cgroup, LogFormat];
}
