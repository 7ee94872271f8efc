using System.Globalization;
using System.Text;
using Loom.Cli.Terminal;

namespace Loom.Cli.Status;

/// <summary>The table of <c>loom status</c>: one row for the runtime, each pool's replica and each process.</summary>
internal static class StatusTable
{
    private static readonly string[] s_head = ["NAME", "KIND", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "NOTE"];

    /// <summary>Writes it.</summary>
    public static void Write(Terminal.Terminal terminal, StatusView view) => terminal.Table(Rows(view), Tint);

    /// <summary>Its rows, the head first.</summary>
    internal static List<string[]> Rows(StatusView view)
    {
        var rows = new List<string[]>(view.Processes.Count + view.Pools.Count + 2) { s_head };
        var run = view.Run;
        if (!view.Chosen)
        {
            rows.Add(["loom", "runtime", run.Ready ? "ready" : "starting", Number(run.Supervisor.Pid), Age(view.Uptime.Of(run.Supervisor.StartTicks)), "0", "-", "-", Addresses(run)]);
        }

        foreach (var pool in view.Pools)
        {
            rows.Add([pool.Name, "pool", pool.State, "-", "-", "-", "-", "-", PoolNote(pool)]);
        }

        foreach (var system in view.Systems)
        {
            rows.Add([system.Name, "system", system.State, "-", "-", "-", "-", "-", (system.Note ?? "").ReplaceLineEndings(" | ")]);
        }

        foreach (var process in view.Processes)
        {
            rows.Add(
            [
                process.Name, process.Kind, process.State,
                process.Pid is { } pid ? Number(pid) : "-",
                view.AgeOf(process) is { } age ? Age(age) : "-",
                Number(process.Restarts),
                view.CpuPercentOf(process) is { } cpu ? Percent(cpu) : "-",
                process.MemoryBytes is { } memory ? Memory(memory) : "-",
                Note(process, view.Now),
            ]);
        }

        return rows;
    }

    /// <summary>Why it is as it is, in words: reason, when it is tried again, how it last ended, a remark.</summary>
    internal static string Note(ProcessView process, DateTimeOffset now)
    {
        var parts = new List<string>(4);
        if (process.Reason is { Length: > 0 } reason)
        {
            parts.Add(reason);
        }

        // The reason of a crash tells the exit already, and an end by request needs no telling; what is worth a word is an end that was followed by a restart.
        if (process.LastExit is { } exit && process.State is not "stopped" && (process.Restarts > 0 || process.Pid is null) && !parts.Exists(p => Tells(p, exit)))
        {
            parts.Add($"last {exit}{(exit.At is { } at ? $" {Age(now - at)} ago" : "")}");
        }

        if (process.State is "backoff" && process.NextStart is { } next)
        {
            parts.Add($"next start in {Age(next - now)}");
        }

        if (process.Note is { Length: > 0 } note)
        {
            parts.Add(note);
        }

        return string.Join("; ", parts).ReplaceLineEndings(" | ");
    }

    internal static string Age(TimeSpan age) => age switch
    {
        { TotalDays: >= 1 } => Number((int)age.TotalDays) + "d" + Number(age.Hours) + "h",
        { TotalHours: >= 1 } => Number((int)age.TotalHours) + "h" + Number(age.Minutes) + "m",
        { TotalMinutes: >= 1 } => Number((int)age.TotalMinutes) + "m" + Number(age.Seconds) + "s",
        _ => Number(Math.Max(0, (int)age.TotalSeconds)) + "s",
    };

    internal static string Memory(long bytes) => bytes switch
    {
        >= 10L << 30 => (bytes >> 30).ToString(CultureInfo.InvariantCulture) + " GiB",
        >= 1L << 30 => ((double)bytes / (1L << 30)).ToString("0.0", CultureInfo.InvariantCulture) + " GiB",
        >= 1L << 20 => (bytes >> 20).ToString(CultureInfo.InvariantCulture) + " MiB",
        _ => (bytes >> 10).ToString(CultureInfo.InvariantCulture) + " KiB",
    };

    private static bool Tells(string reason, ExitView exit)
    {
        var words = exit.Signal is { } signal ? "signal " + Number(signal) : "exit " + Number(exit.Code ?? 0);
        var at = reason.IndexOf(words, StringComparison.Ordinal);
        return at >= 0 && (at + words.Length == reason.Length || !char.IsAsciiDigit(reason[at + words.Length]));
    }

    private static string Addresses(RunView run)
    {
        var text = new StringBuilder();
        foreach (var (part, address) in run.Addresses)
        {
            text.Append(text.Length > 0 ? "  " : "").Append(part).Append(' ').Append(address);
        }

        return text.ToString();
    }

    private static string PoolNote(PoolView pool) => $"{pool.Engine}, model {pool.Model}{(pool.Mock ? ", mock" : "")}{(pool.LastError is { } error ? ": " + error : "")}";

    private static string Percent(double value) => value.ToString(value < 10 ? "0.0" : "0", CultureInfo.InvariantCulture) + "%";

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);

    private static Tone Tint(int column, string cell) => (column, cell) switch
    {
        (2, "ready" or "completed") => Tone.Good,
        (2, "failed" or "skipped" or "blocked" or "unhealthy") => Tone.Bad,
        (2, "STATE" or "stopped") => Tone.Plain,
        (2, _) => Tone.Busy,
        _ => Tone.Plain,
    };
}
