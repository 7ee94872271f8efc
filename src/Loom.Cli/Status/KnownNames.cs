using System.CommandLine.Completions;
using System.Text.Json;
using Loom.Agents.Project;
using Loom.Cli.Logs;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;

namespace Loom.Cli.Status;

/// <summary>
/// Names that completion offers: of the project's last known processes, of the scripts in <c>agents/</c>, of its logs. Reads names of files and the run's
/// state, nothing that could be wrong or slow; what goes wrong all the same offers nothing.
/// </summary>
internal static class KnownNames
{
    /// <summary>Processes and dataflow systems of the run, agents of the project, and with <paramref name="pools"/> the pools.</summary>
    public static Func<CompletionContext, IEnumerable<CompletionItem>> Processes(bool pools = false) => context => Offer(context, folder =>
        [.. OfRun(folder, pools), .. OfScripts(Path.Combine(folder, "agents"))]);

    /// <summary>Everything that has a log.</summary>
    public static Func<CompletionContext, IEnumerable<CompletionItem>> Logs() => context => Offer(context, folder => MergedLogs.NamesIn(LogsOf(folder)));

    /// <summary>Whether the last known run of a project has a dataflow system of this name.</summary>
    internal static bool IsSystem(string folder, string name)
    {
        try
        {
            return RunOf(folder)?.Systems.Any(s => s.Name == name) == true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or InvalidDataException)
        {
            return false;
        }
    }

    internal static IEnumerable<string> OfScripts(string agents)
    {
        if (!Directory.Exists(agents))
        {
            return [];
        }

        return Directory.EnumerateFileSystemEntries(agents)
            .Select(e => Directory.Exists(e) ? Path.GetFileName(e) : Path.GetFileNameWithoutExtension(e))
            .Where(n => n.Length > 0 && n[0] is not ('_' or '.') && !n.StartsWith("test_", StringComparison.Ordinal) && !n.EndsWith("_test", StringComparison.Ordinal));
    }

    private static IEnumerable<string> OfRun(string folder, bool pools) =>
        RunOf(folder) is { } run ? [.. run.Processes.Select(p => p.Name), .. run.Systems.Select(s => s.Name), .. pools ? run.Pools.Select(p => p.Pool) : []] : [];

    // The last known run; null where there was none.
    private static RunView? RunOf(string folder)
    {
        var path = RunDirectory.Of(folder).State;
        if (!File.Exists(path))
        {
            return null;
        }

        using var state = JsonDocument.Parse(File.ReadAllBytes(path));
        return RunView.Parse(state.RootElement);
    }

    private static string LogsOf(string folder) =>
        RunOf(folder)?.Processes is [{ Log: { } log }, ..] && Path.GetDirectoryName(log) is { } used ? used : Path.Combine(folder, ".loom", "logs");

    private static IEnumerable<CompletionItem> Offer(CompletionContext context, Func<string, IEnumerable<string>> names)
    {
        try
        {
            return [.. names(VerbContext.FromProcess(context.ParseResult).ProjectFolder()).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal).Select(n => new CompletionItem(n))];
        }
        catch (Exception e) when (e is CliError or IOException or UnauthorizedAccessException or JsonException or InvalidDataException or InvalidOperationException)
        {
            return [];
        }
    }
}
