using System.Collections.Immutable;
using Loom.Agents.Settings;
using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Agents.Plans;

/// <summary>Reads what every supervised program of a project has.</summary>
internal static class ChildReading
{
    public static RestartPolicy Restart(SettingsSnapshot settings, ChildRows rows, string name)
    {
        var backoff = settings.Get(rows.Backoff, name);
        return new RestartPolicy
        {
            When = settings.Get(rows.Policy, name),
            BackoffFirst = backoff.First,
            BackoffMax = backoff.Last,
            Factor = settings.Get(rows.Factor, name),
            Jitter = settings.Get(rows.Jitter, name),
            Storm = (int)settings.Get(rows.Storm, name),
            Window = settings.Get(rows.Window, name),
            ResetAfter = settings.Get(rows.ResetAfter, name),
            Max = (int)settings.Get(rows.Max, name),
        };
    }

    /// <summary>Null when no limit is given.</summary>
    public static ProcessLimits? Limits(SettingsSnapshot settings, ChildRows rows, string name)
    {
        var limits = new ProcessLimits(
            settings.GetOrNull(rows.Memory, name), (int?)settings.GetOrNull(rows.Pids, name), settings.GetOrNull(rows.Cpu, name),
            (int?)settings.GetOrNull(rows.OpenFiles, name), (int?)settings.GetOrNull(rows.Nice, name));
        return limits == new ProcessLimits() ? null : limits;
    }

    public static LogOptions Log(SettingsSnapshot settings, ChildRows rows, string name, ImmutableDictionary<string, string> secrets) => new()
    {
        Format = settings.Get(rows.LogFormat, name),
        StripAnsi = settings.Get(rows.LogAnsi, name) == AnsiCodes.Strip,
        MaxBytes = settings.Get(rows.LogMax, name),
        Keep = (int)settings.Get(rows.LogKeep, name),
        Timestamps = settings.Get(rows.LogTimestamps, name),
        Secrets = secrets,
    };
}
