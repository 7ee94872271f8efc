using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Cli.Composition;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Harness.Benchmarks;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Cli.Harness;

/// <summary><c>loom harness bench</c>: streams and chains beside their peers on this machine, as ratios.</summary>
internal static class BenchVerb
{
    // A fall by more than this is marked.
    private const double Worse = 0.15;

    private static readonly Option<int> s_rounds = new("--rounds") { Description = "Measured rounds; medians are shown", DefaultValueFactory = _ => 5 };
    private static readonly Option<FileInfo?> s_baseline = new("--baseline") { Description = "Results of an earlier --json to show beside; what is worse by more than 15 % is marked" };
    private static readonly Option<string[]> s_rows = new("--row") { Description = "Only these rows", AllowMultipleArgumentsPerToken = true };

    public static Command Create()
    {
        var command = Verb.Create(
            "bench",
            "Measure streams and chains beside bounded channels, TPL Dataflow and anyio, interleaved in one run; nothing is judged by absolute speed alone",
            ["loom harness bench", "loom harness bench --row hop chain --rounds 9", "loom harness bench --json > today.json", "loom harness bench --baseline bench/baselines/harness.json"],
            RunAsync);
        command.Options.Add(s_rounds);
        command.Options.Add(s_rows);
        command.Options.Add(s_baseline);
        return command;
    }

    private static async Task<int> RunAsync(VerbContext context, ParseResult parse, CancellationToken ct)
    {
        var before = await BaselineAsync(parse.GetValue(s_baseline), ct).ConfigureAwait(false);
        var folder = Directory.CreateTempSubdirectory("loom-bench-").FullName;
        try
        {
            await using var supervisor = GuardedSupervisor.Create(context, Guid.NewGuid().ToString("N")[..12], folder, NullLogger.Instance);
            var anyio = await AnyioPeer.IsThereAsync(folder, supervisor, ct).ConfigureAwait(false);
            if (!anyio)
            {
                context.Terminal.Note("anyio is left out: Python has none here (Debian: python3-anyio)");
            }

            var results = new List<BenchResult>();
            var wanted = parse.GetValue(s_rows) ?? [];
            var rows = BenchRows.All(context.Time, folder, supervisor, anyio);
            if (wanted.FirstOrDefault(w => rows.All(r => r.Name != w)) is { } unknown)
            {
                throw new CliError(ExitCode.Usage, "NO_SUCH_ROW", $"there is no row '{unknown}'; there are: {string.Join(", ", rows.Select(r => r.Name))}");
            }

            var unmeasured = new List<string>();
            foreach (var row in rows.Where(r => wanted.Length == 0 || wanted.Contains(r.Name)))
            {
                try
                {
                    var result = await row.RunAsync(parse.GetValue(s_rounds), ct).ConfigureAwait(false);
                    results.Add(result);
                    if (!context.Terminal.Json)
                    {
                        Show(context.Terminal, result, before.GetValueOrDefault(result.Name));
                    }
                }
                catch (Exception e) when (e is InvalidOperationException or IOException or TimeoutException)
                {
                    // The others are worth their time all the same.
                    unmeasured.Add($"{row.Name}: {e.Message}");
                }
            }

            await supervisor.StopAllAsync(CancellationToken.None).ConfigureAwait(false);
            if (context.Terminal.Json)
            {
                context.Terminal.Out.WriteLine(JsonSerializer.Serialize(results, BenchJson.Default.ListBenchResult));
            }

            return unmeasured.Count == 0
                ? ExitCode.Ok
                : throw new CliError(ExitCode.Failed, "NOT_MEASURED", $"{string.Join("; ", unmeasured)}", "a machine that is busy with something else may be too slow for a row: --row ROW runs it alone");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<Dictionary<string, BenchResult>> BaselineAsync(FileInfo? file, CancellationToken ct)
    {
        if (file is null)
        {
            return [];
        }

        try
        {
            await using var from = file.OpenRead();
            var results = await JsonSerializer.DeserializeAsync(from, BenchJson.Default.ListBenchResult, ct).ConfigureAwait(false) ?? [];
            return results.ToDictionary(r => r.Name, StringComparer.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException or ArgumentException)
        {
            throw new CliError(ExitCode.Usage, "BAD_BASELINE", $"{file} cannot be read as a baseline: {e.Message}", "loom harness bench --json > FILE writes one");
        }
    }

    private static void Show(Terminal.Terminal terminal, BenchResult result, BenchResult? before)
    {
        terminal.Out.WriteLine();
        terminal.Out.WriteLine(result.Title);
        string[] names = [.. result.Contenders.SelectMany(c => c.Figures).Select(f => f.Name).Distinct()];
        var first = result.Contenders[0].Figures[0];
        List<string[]> rows = [["CONTENDER", .. names.Select(n => n.ToUpperInvariant()), .. result.Contenders.Count > 1 ? ["FIRST TO IT"] : Array.Empty<string>()]];
        rows.AddRange(result.Contenders.Select(c => (string[])
        [
            c.Name,
            .. names.Select(n => c.Figures.FirstOrDefault(f => f.Name == n) is { } figure ? Number(figure.Value) : "-"),
            .. result.Contenders.Count > 1 ? [string.Create(CultureInfo.InvariantCulture, $"{first.Value / c.Figures[0].Value:F2}x")] : Array.Empty<string>(),
        ]));
        terminal.Table(rows);
        foreach (var target in result.Targets)
        {
            var text = $"  {(target.Met ? "met" : "MISSED")}: {Number(target.Measured)} {target.What}, wanted {(target.AtMost ? "at most" : "at least")} {Number(target.Wanted)}";
            var (beside, isWorse) = Beside(target, before?.Targets.FirstOrDefault(t => t.What == target.What));
            terminal.Out.WriteLine(terminal.Paint(target.Met && !isWorse ? Tone.Good : Tone.Bad, text + beside));
        }
    }

    private static (string Text, bool IsWorse) Beside(TargetResult now, TargetResult? then)
    {
        if (then is null)
        {
            return ("", false);
        }

        var isWorse = now.AtMost ? now.Measured > then.Measured * (1 + Worse) : now.Measured < then.Measured * (1 - Worse);
        return ($"; recorded {Number(then.Measured)}{(isWorse ? ", WORSE by more than 15 %" : "")}", isWorse);
    }

    private static string Number(double value) => value.ToString(Math.Abs(value) >= 1000 ? "N0" : "0.##", CultureInfo.InvariantCulture);
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(List<BenchResult>))]
internal sealed partial class BenchJson : JsonSerializerContext;
