using System.Diagnostics;
using Loom.Testing;
using Microsoft.Data.Sqlite;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

/// <summary>The real program, killed with -9 at random moments: what its sinks show in the end is what one pass would have shown.</summary>
public class KillDrillTests
{
    [Fact]
    public async Task Kill9_JsonlIntoStagedJsonlAndSqlite_LosesAndDoublesNothing()
    {
        const int Count = 150_000;
        const int Kills = 8;
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["loom.toml"], "name = \"drill\"\n");
        Directory.CreateDirectory(folder["sys"]);
        await File.WriteAllTextAsync(folder["sys/architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: copy, version: 1.0.0 }
            components:
              - { name: src, type: Source, uses: jsonl, config: { path: in.jsonl }, state: { checkpoint_interval_items: 5000 } }
              - { name: out, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
              - { name: db, type: Sink, uses: sqlite_out, config: { table: t } }
            bindings:
              - { from: src.out, to: [out.in, db.in] }
            """);
        await File.WriteAllLinesAsync(folder["sys/in.jsonl"], Enumerable.Range(0, Count).Select(n => $$"""{"n":{{n}}}"""));
        var random = new Random(3);
        var kills = 0;
        int exit;
        while (true)
        {
            using var run = Start(folder.Path);
            var drain = (run.StandardOutput.ReadToEndAsync(), run.StandardError.ReadToEndAsync());
            if (kills < Kills && !await EndsAsync(run, TimeSpan.FromMilliseconds(random.Next(400, 1800))))
            {
                run.Kill(); // SIGKILL
                kills++;
            }

            await run.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
            await Task.WhenAll(drain.Item1, drain.Item2);
            exit = run.ExitCode;
            if (exit != 137)
            {
                exit.ShouldBe(0, await drain.Item2);
                break;
            }

            // Whatever is visible now is whole lines, each once.
            var visible = Visible(folder);
            visible.Distinct().Count().ShouldBe(visible.Length);
        }

        kills.ShouldBeGreaterThan(0);
        Visible(folder).ShouldBe(Enumerable.Range(0, Count).Select(n => $$"""{"n":{{n}}}"""));
        using var database = new SqliteConnection($"Data Source={folder["sys/data.db"]};Pooling=False");
        database.Open();
        using var count = database.CreateCommand();
        count.CommandText = "SELECT count(*) || '/' || count(DISTINCT n) || '/' || sum(n) FROM t";
        count.ExecuteScalar().ShouldBe($"{Count}/{Count}/{(long)Count * (Count - 1) / 2}");
        TestContext.Current.SendDiagnosticMessage($"killed {kills} times: 0 lost, 0 visible duplicates");
    }

    private static string[] Visible(TempFolder folder) => File.Exists(folder["sys/out.jsonl"]) ? File.ReadAllLines(folder["sys/out.jsonl"]) : [];

    private static async Task<bool> EndsAsync(Process run, TimeSpan within)
    {
        try
        {
            await run.WaitForExitAsync().WaitAsync(within);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private static Process Start(string folder)
    {
        var start = new ProcessStartInfo(RunningLoom.Program, ["harness", "run", "sys", "--unlocked"]) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        return Process.Start(start)!;
    }
}
