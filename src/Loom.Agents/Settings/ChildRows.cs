using System.Collections.Immutable;
using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Agents.Settings;

/// <summary>The rows that every supervised program of a project has: where it runs, how it is restarted, what it may use, how it is logged.</summary>
internal sealed class ChildRows
{
    /// <param name="table">Key of its table, for example <c>agents.*</c>.</param>
    /// <param name="who">The program in words: <c>agent</c>, <c>MCP server</c>.</param>
    /// <param name="policy">Default policy.</param>
    public ChildRows(string table, string who, string policy)
    {
        Cwd = Setting.Path($"{table}.cwd", $"Working folder of the {who}.", ".");
        EnvFile = Setting.List($"{table}.env_file", $"Env files read for this {who} alone.", unit: "path");
        Policy = Setting.Enum<RestartWhen>($"{table}.restart.policy", $"When the {who} is started again; restart = text is the same.",
            [("never", RestartWhen.Never), ("on-failure", RestartWhen.OnFailure), ("always", RestartWhen.Always)], policy);
        Backoff = Setting.Grammar($"{table}.restart.backoff", "First and longest delay before a restart.", "<duration>..<duration>",
            DurationRange.TryParse, static range => range.ToString(), "1s..60s");
        Factor = Setting.Float($"{table}.restart.factor", "Growth of the delay.", "2", min: "1", max: "10");
        Jitter = Setting.Float($"{table}.restart.jitter", "Random share of the delay, added or taken away.", "0.1", min: "0", max: "1");
        Storm = Setting.Int($"{table}.restart.storm", "Restarts allowed inside the window; one more means failed.", "10", min: "0", max: "10000");
        Window = Setting.Duration($"{table}.restart.window", "Sliding window of the storm limit.", "60", min: "1", max: "86400");
        ResetAfter = Setting.Duration($"{table}.restart.reset_after", "Stable time after which the delay starts anew.", "300", min: "0", max: "86400");
        Max = Setting.Int($"{table}.restart.max", "Consecutive restarts allowed; 0 = no limit.", "0", min: "0", max: "1000000");
        Memory = Setting.Size($"{table}.limits.memory", "Memory limit; unset = none.", min: "1", max: "100000000", unit: "MB");
        Pids = Setting.Int($"{table}.limits.pids", "Limit on processes; unset = none.", min: "1", max: "4194304");
        Cpu = Setting.Float($"{table}.limits.cpu", "Limit in cores; unset = none.", min: "0.01", max: "4096", unit: "cores");
        OpenFiles = Setting.Int($"{table}.limits.nofile", "Limit on open files; unset = inherited.", min: "16", max: "1048576");
        Nice = Setting.Int($"{table}.limits.nice", "Nice value; unset = inherited.", min: "-20", max: "19");
        LogMax = Setting.Size($"{table}.log.max", "Size at which its log is rotated.", "10", min: "0.001", max: "10000", unit: "MB");
        LogKeep = Setting.Int($"{table}.log.keep", "Old log files kept.", "5", min: "0", max: "1000", unit: "files");
        LogTimestamps = Setting.Bool($"{table}.log.timestamps", "Put the time before each captured line.", "true");
        LogFormat = Setting.Enum<LineFormat>($"{table}.log.format", "Form of the captured lines.", [("text", LineFormat.Text), ("json", LineFormat.Json)], "text");
        LogAnsi = Setting.Enum<AnsiCodes>($"{table}.log.ansi", "Colour codes in files.", [("strip", AnsiCodes.Strip), ("keep", AnsiCodes.Keep)], "strip");
        LogRedact = Setting.Bool($"{table}.log.redact", "Mask secrets in captured output.", "true");
        All =
        [
            Cwd, EnvFile, Policy, Backoff, Factor, Jitter, Storm, Window, ResetAfter, Max, Memory, Pids, Cpu, OpenFiles, Nice,
            LogMax, LogKeep, LogTimestamps, LogFormat, LogAnsi, LogRedact,
        ];
    }

    public Setting<string> Cwd { get; }

    public Setting<ImmutableArray<string>> EnvFile { get; }

    public Setting<RestartWhen> Policy { get; }

    public Setting<DurationRange> Backoff { get; }

    public Setting<double> Factor { get; }

    public Setting<double> Jitter { get; }

    public Setting<long> Storm { get; }

    public Setting<TimeSpan> Window { get; }

    public Setting<TimeSpan> ResetAfter { get; }

    public Setting<long> Max { get; }

    public Setting<long> Memory { get; }

    public Setting<long> Pids { get; }

    public Setting<double> Cpu { get; }

    public Setting<long> OpenFiles { get; }

    public Setting<long> Nice { get; }

    public Setting<long> LogMax { get; }

    public Setting<long> LogKeep { get; }

    public Setting<bool> LogTimestamps { get; }

    public Setting<LineFormat> LogFormat { get; }

    public Setting<AnsiCodes> LogAnsi { get; }

    public Setting<bool> LogRedact { get; }

    public ImmutableArray<Setting> All { get; }
}

/// <summary>What becomes of colour codes in log files.</summary>
internal enum AnsiCodes
{
    Strip,
    Keep,
}
