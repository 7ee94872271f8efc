using Loom.Agents.Settings;
using Loom.Core.Settings;
using Loom.Processes;

namespace Loom.Agents.Plans;

/// <summary>Reads the probes of an agent; what cannot work was found by <see cref="AgentChecks"/> and reads as no probe.</summary>
internal static class ProbeReading
{
    /// <summary>When it counts as ready; null = alive for one second.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="agent">Whose.</param>
    /// <param name="late">What is known only now.</param>
    /// <param name="linesAreRead">False: its output goes to a terminal, so no line can make it ready and a log probe reads as none.</param>
    public static ProbePlan? Ready(SettingsSnapshot settings, string agent, Func<string, string?> late, bool linesAreRead)
    {
        var check = Check(settings, AgentSettings.Ready, agent, late)
            ?? (linesAreRead && settings.GetOrNull(AgentSettings.ReadyLog, agent) is { } pattern ? new ProbeCheck.Log(LateReference.Fill(pattern, late)) : null);
        var within = settings.Get(AgentSettings.ReadyWithin, agent);
        return check is null ? null : Probe(settings, AgentSettings.Ready, agent, check) with { Within = within };
    }

    /// <summary>How it is watched; null = not at all.</summary>
    public static ProbePlan? Live(SettingsSnapshot settings, string agent, Func<string, string?> late)
    {
        var failures = (int)settings.Get(AgentSettings.LiveFailures, agent);
        return Check(settings, AgentSettings.Live, agent, late) is { } check ? Probe(settings, AgentSettings.Live, agent, check) with { Failures = failures } : null;
    }

    private static ProbePlan Probe(SettingsSnapshot settings, ProbeRows rows, string agent, ProbeCheck check) => new()
    {
        Check = check,
        Every = settings.Get(rows.Every, agent),
        Timeout = settings.Get(rows.Timeout, agent),
    };

    private static ProbeCheck? Check(SettingsSnapshot settings, ProbeRows rows, string agent, Func<string, string?> late)
    {
        if (settings.GetOrNull(rows.Http, agent) is { } http)
        {
            var status = settings.Get(rows.Status, agent);
            return Uri.TryCreate(LateReference.Fill(http, late), UriKind.Absolute, out var url) && status is [var low, var high] ? new ProbeCheck.Http(url, (int)low, (int)high) : null;
        }

        if (settings.GetOrNull(rows.Tcp, agent) is { } tcp)
        {
            return HostPort.TryParse(LateReference.Fill(tcp, late)) is { } address ? new ProbeCheck.Tcp(address.Host, address.Port) : null;
        }

        var exec = settings.Get(rows.Exec, agent);
        return exec.IsEmpty ? null : new ProbeCheck.Exec([.. exec.Select(e => LateReference.Fill(e, late))]);
    }
}
