using System.Text.RegularExpressions;

namespace Loom.Processes.Supervision;

/// <summary>Refuses plans that can never work, before anything is started.</summary>
internal static class PlanCheck
{
    /// <exception cref="ArgumentException">Names what is wrong with the plan.</exception>
    internal static void ThrowIfImpossible(ProcessPlan plan)
    {
        if (plan.Name.Length == 0 || plan.Name.AsSpan().ContainsAny('/', '\0', '\n'))
        {
            throw new ArgumentException($"'{plan.Name}' cannot name a process: it must not be empty or hold '/' or a line end", nameof(plan));
        }

        if (plan.Command.IsDefaultOrEmpty)
        {
            throw new ArgumentException($"process '{plan.Name}' has no command", nameof(plan));
        }

        foreach (var path in new[] { plan.WorkingDirectory, plan.LogPath, plan.ErrorLogPath })
        {
            if (path is not null && !Path.IsPathFullyQualified(path))
            {
                throw new ArgumentException($"process '{plan.Name}': '{path}' must be an absolute path", nameof(plan));
            }
        }

        if (plan.Limits is { } limits && (limits.MemoryBytes <= 0 || limits.Pids <= 0 || limits.Cpu <= 0 || limits.OpenFiles <= 0 || limits.Nice is < -20 or > 19))
        {
            throw new ArgumentException($"process '{plan.Name}': {limits}: limits are above 0, nice is from -20 to 19", nameof(plan));
        }

        if (plan.Live?.Check is ProbeCheck.Log)
        {
            throw new ArgumentException($"process '{plan.Name}': a log line shows that a process became ready, not that it still lives; use http, tcp or exec for 'live'", nameof(plan));
        }

        if (plan is { Console: ProcessConsole.Terminal, Ready.Check: ProbeCheck.Log })
        {
            throw new ArgumentException($"process '{plan.Name}': its output goes to the terminal and is not read, so no line can make it ready; use http, tcp or exec", nameof(plan));
        }

        if (plan.Ready?.Check is ProbeCheck.Log log)
        {
            _ = LogPattern(log.Pattern); // throws ArgumentException with the position of the fault
        }
    }

    /// <summary>The pattern of a log probe: it must match a whole line. A pattern that takes longer than 100 ms on one line counts as no match.</summary>
    internal static Regex LogPattern(string pattern) => new($"^(?:{pattern})$", RegexOptions.CultureInvariant, TimeSpan.FromMilliseconds(100));
}
