using System.CommandLine;
using System.CommandLine.Completions;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Harness.Architecture;
using Loom.Harness.Architecture.Checks;
using Loom.Harness.Tests;
using Loom.Harness.Tests.Reading;
using Loom.Harness.Tests.Running;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness test</c>: runs the cases of <c>*.test.yaml</c> against the systems they name, without network, locks or state.</summary>
internal static class TestVerb
{
    private static readonly string[] s_notEntered = [".loom", ".git", "node_modules", "bin", "obj", "artifacts"];

    private static readonly Argument<string> s_path = new("PATH") { Description = "A test file, or a folder whose test files are run (default: this one)", DefaultValueFactory = _ => "." };
    private static readonly Option<string?> s_filter = new("--filter") { Description = "Only cases whose name contains this", HelpName = "NAME" };
    private static readonly Option<bool> s_update = new("--update") { Description = "Record answers that are missing, by asking the component itself, and write files of expected events from what comes" };
    private static readonly Option<string?> s_junit = new("--junit") { Description = "Write the results for a build server", HelpName = "FILE" };

    public static Command Create()
    {
        var command = Verb.Create("test", "Run the tests of systems: exit code 0 when all pass, 1 when one fails, 2 when a test file or system is wrong",
            ["loom harness test", "loom harness test samples/pipeline/enrich", "loom harness test --filter dropped --json", "loom harness test --update", "loom harness test --junit results.xml"], RunAsync);
        s_filter.CompletionSources.Add(Names);
        command.Arguments.Add(s_path);
        foreach (var option in new Option[] { s_filter, s_update, s_junit })
        {
            command.Options.Add(option);
        }

        return command;
    }

    // What goes wrong offers nothing.
    private static IEnumerable<CompletionItem> Names(CompletionContext context)
    {
        try
        {
            var surroundings = VerbContext.FromProcess(context.ParseResult);
            return [.. Files(surroundings, context.ParseResult.GetValue(s_path)!).SelectMany(f => TestFileReader.Names(DiskSystemFiles.Instance, f)).Distinct(StringComparer.Ordinal).Select(n => new CompletionItem(n))];
        }
        catch (Exception e) when (e is CliError or IOException or UnauthorizedAccessException or InvalidOperationException)
        {
            return [];
        }
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var filter = parse.GetValue(s_filter);
        var planned = await ReadAsync(context, parse, stop).ConfigureAwait(false);
        var chosen = planned.Select(p => p with { Cases = [.. p.Cases.Where(c => filter is null || c.Name.Contains(filter, StringComparison.OrdinalIgnoreCase))] }).Where(p => p.Cases.Count > 0).ToList();
        if (chosen.Count == 0)
        {
            throw new CliError(ExitCode.Usage, "NO_TESTS", $"no case has a name with '{Loom.Core.Settings.Redaction.Plain(filter ?? "")}' in it", "loom harness test");
        }

        await using var junit = parse.GetValue(s_junit) is { } name ? OpenJUnit(Path.GetFullPath(name, context.WorkingDirectory)) : null;
        var text = new TestText(context.Terminal);
        var results = new List<(TestFile File, IReadOnlyList<CaseResult> Results)>();
        var folder = Directory.CreateTempSubdirectory("loom-test-").FullName;
        try
        {
            await using var supervisor = GuardedSupervisor.Create(context, Guid.NewGuid().ToString("N")[..12], folder, NullLogger.Instance);
            using var logging = context.Terminal.Verbose ? new LoomLogging(null, _ => LogLevel.Warning, json: false, watch: null) { Stream = context.Terminal.Err } : null;
            using var logs = new LoggerFactory(logging is null ? [] : [logging]);
            foreach (var one in chosen)
            {
                using var live = new LiveServices(one.Session.Settings, logs);
                var world = new TestWorld
                {
                    Time = context.Time,
                    Logs = logs,
                    Options = one.Session.Options,
                    Environment = one.Session.Environment,
                    Supervisor = supervisor,
                    Live = live.Of,
                    Update = parse.GetValue(s_update),
                };
                results.Add((one.File, await RunAsync(one, world, text, stop).ConfigureAwait(false)));
            }

            await supervisor.StopAllAsync(CancellationToken.None).ConfigureAwait(false);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        text.End(results);
        WriteJUnit(junit, results);
        return results.TrueForAll(r => r.Results.All(c => c.Passed)) ? ExitCode.Ok : ExitCode.Failed;
    }

    // Before anything runs: nobody wants to wait for cases whose results have no place. What the file holds stays until there are new ones.
    private static FileStream OpenJUnit(string path)
    {
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            throw new CliError(ExitCode.Usage, "CANNOT_WRITE", $"--junit: {Loom.Core.Settings.Redaction.Plain(path)} cannot be written: {e.Message}", "name a file in a folder that exists and that you may write");
        }
    }

    private static void WriteJUnit(FileStream? file, IReadOnlyList<(TestFile File, IReadOnlyList<CaseResult> Results)> results)
    {
        if (file is null)
        {
            return;
        }

        try
        {
            if (file.CanSeek && file.Length > 0)
            {
                file.SetLength(0);
            }

            JUnit.Write(file, results);
            file.Flush();
        }
        catch (IOException e)
        {
            throw new CliError(ExitCode.Failed, "CANNOT_WRITE", $"--junit: {Loom.Core.Settings.Redaction.Plain(file.Name)} could not be written: {e.Message}", "free space there, or name another file");
        }
    }

    private static async Task<IReadOnlyList<CaseResult>> RunAsync(PlannedFile one, TestWorld world, TestText text, CancellationToken stop)
    {
        var results = new List<CaseResult>();
        text.Begin(one.File);
        foreach (var test in one.Cases)
        {
            var result = await CaseRun.OfAsync(one.Plan, test, world, stop).ConfigureAwait(false);
            text.Tell(result);
            results.Add(result);
        }

        return results;
    }

    // All files are read and judged before the first case runs.
    private static async Task<IReadOnlyList<PlannedFile>> ReadAsync(VerbContext context, ParseResult parse, CancellationToken stop)
    {
        var findings = new FindingList();
        var reader = new TestFileReader(DiskSystemFiles.Instance, findings);
        var systems = new Dictionary<string, (HarnessSession Session, LoadResult Loaded)>(StringComparer.Ordinal);
        var planned = new List<PlannedFile>();
        foreach (var path in Files(context, parse.GetValue(s_path)!))
        {
            if (reader.Read(path, Path.GetRelativePath(context.WorkingDirectory, path)) is not { } file)
            {
                continue;
            }

            if (!systems.TryGetValue(file.System, out var system))
            {
                var session = HarnessSession.Open(context, parse, file.System, deployment: null);
                systems[file.System] = system = (session, await session.LoadAsync(stop).ConfigureAwait(false));
            }

            if (system.Loaded.Plan is { } plan && new TestChecks(plan, findings).Check(file) is { } cases)
            {
                planned.Add(new PlannedFile(file, system.Session, plan, cases));
            }
        }

        // Named as the test files are, from where the command is typed: several systems may have an architecture.yaml.
        var ofSystems = systems.Values.SelectMany(s => s.Loaded.Findings.Where(f => f.Severity == Severity.Error)
            .Select(f => f with { File = Path.GetRelativePath(context.WorkingDirectory, Path.Combine(s.Session.Directory, f.File)) }));
        var all = findings.Sorted().Concat(ofSystems).ToList();
        if (all.Exists(f => f.Severity == Severity.Error))
        {
            FindingText.Write(context.Terminal, context.Terminal.Err, context.Terminal.Json ? [] : all);
            throw FindingText.Error(context.Terminal, all, ExitCode.Usage, "docs/reference/harness-codes.md tells what each code means");
        }

        return planned;
    }

    private static List<string> Files(VerbContext context, string path)
    {
        var full = Path.GetFullPath(path, context.WorkingDirectory);
        if (File.Exists(full))
        {
            return [full];
        }

        List<string> files = Directory.Exists(full)
            ? [.. DiskSystemFiles.Instance.FilesBelow(full, s_notEntered).Where(f => f.EndsWith(TestFileReader.Ending, StringComparison.Ordinal)).Order(StringComparer.Ordinal).Select(f => Path.Combine(full, f))]
            : throw new CliError(ExitCode.Usage, "NO_TESTS", $"there is no file or folder {full}", "loom harness test FOLDER");
        return files.Count > 0 ? files : throw new CliError(ExitCode.Usage, "NO_TESTS", $"there is no *{TestFileReader.Ending} in {full} or below", "docs/harness.md shows how one is written");
    }

    private sealed record PlannedFile(TestFile File, HarnessSession Session, SystemPlan Plan, IReadOnlyList<TestCase> Cases);

    /// <summary>Services with a network, made when a case asks for them.</summary>
    private sealed class LiveServices(Loom.Core.Settings.SettingsSnapshot settings, ILoggerFactory logs) : IDisposable
    {
        private readonly List<HarnessServices> _made = [];

        public IServiceProvider Of(TimeProvider time)
        {
            var services = new HarnessServices(settings, time, logs);
            _made.Add(services);
            return services;
        }

        public void Dispose() => _made.ForEach(m => m.Dispose());
    }
}
