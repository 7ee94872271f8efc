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
        [.. OfState(RunDirectory.Of(folder).State, pools), .. OfScripts(Path.Combine(folder, "agents"))]);

    /// <summary>Everything that has a log.</summary>
    public static Func<CompletionContext, IEnumerable<CompletionItem>> Logs() => context => Offer(context, folder => MergedLogs.NamesIn(LogsOf(folder)));

    /// <summary>Whether the last known run of a project has a dataflow system of this name.</summary>
    internal static bool IsSystem(string folder, string name)
    {
        try
        {
            using var state = JsonDocument.Parse(File.ReadAllBytes(RunDirectory.Of(folder).State));
            return RunView.Parse(state.RootElement).Systems.Any(s => s.Name == name);
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

    private static IEnumerable<string> OfState(string path, bool pools)
    {
        if (!File.Exists(path))
        {
            return [];
        }

        using var state = JsonDocument.Parse(File.ReadAllBytes(path));
        var run = RunView.Parse(state.RootElement);
        return [.. run.Processes.Select(p => p.Name), .. run.Systems.Select(s => s.Name), .. pools ? run.Pools.Select(p => p.Pool) : []];
    }

    private static string LogsOf(string folder)
    {
        var state = RunDirectory.Of(folder).State;
        if (File.Exists(state))
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(state));
            if (RunView.Parse(document.RootElement).Processes is [{ Log: { } log }, ..] && Path.GetDirectoryName(log) is { } used)
            {
                return used;
            }
        }

        return Path.Combine(folder, ".loom", "logs");
    }

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
