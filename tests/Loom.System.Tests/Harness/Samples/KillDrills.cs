using System.Diagnostics;
using Loom.Testing;
using Microsoft.Data.Sqlite;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Samples;

/// <summary>
/// The drill "kill -9" of section 17: <c>loom harness run</c> killed at random moments over jsonl → map → jsonl_out and sqlite_out. Nothing is lost, nothing is
/// visible twice, what repeats is bounded, and nothing survives. A third sink, stdout, shows repeats on purpose, so that they can be counted.
/// </summary>
public sealed class KillDrills
{
    private const int KillsOfOnePass = 5;

    private static readonly int s_items = Drill.Count(200_000, 1_000_000);
    private static readonly int s_interval = Drill.Count(10_000, 50_000);

    // Two streams of 1,000 on each way, and the events the three sinks and the map have in hand.
    private const int Capacity = 2 * 1000 + 2 * 64;

    [Fact]
    public async Task Kill9_AtRandomMoments_LosesNothingAndShowsNothingTwice()
    {
        var random = new Random();
        var (passes, kills, midway, torn, repeated, most) = (Drill.Count(1, 20), 0, 0, 0, 0L, 0L);
        for (var pass = 0; pass < passes; pass++)
        {
            using var target = new Target();
            for (var kill = 0; kill < KillsOfOnePass; kill++)
            {
                // Every other one may strike anywhere, start and recovery included; the others strike while events flow.
                var (struck, flowed) = kill % 2 == 1
                    ? await target.KillAfterAsync(TimeSpan.FromMilliseconds(random.Next(0, 1500)))
                    : await target.KillAtAsync((kill + random.NextDouble()) / (KillsOfOnePass + 1));
                kills += struck ? 1 : 0;
                midway += flowed ? 1 : 0;
            }

            await target.FinishAsync();
            torn += target.Torn;
            repeated += target.Repeated;
            most = Math.Max(most, target.MostRepeated);
        }

        midway.ShouldBeGreaterThan(0, "no kill struck while events flowed");
        Drill.Report(
            "kill -9 of harness run", kills, passes * KillsOfOnePass,
            $"{s_items} items in each of {passes} passes, {midway} kills while events flowed, {torn} within a commit: 0 lost, 0 visible twice, {repeated} repeated inside, at most {most} after one kill, no orphan");
        most.ShouldBeLessThanOrEqualTo(s_interval + Capacity);
    }

    /// <summary>One system and its way from the first to the last event, through all kills.</summary>
    private sealed class Target : IDisposable
    {
        private readonly TempFolder _folder = new();
        private readonly string _mark = Guid.NewGuid().ToString("N");
        private readonly HashSet<string> _printed = [];
        private readonly long _bytes;

        public Target()
        {
            Directory.CreateDirectory(_folder["sys"]);
            File.WriteAllText(_folder["sys/architecture.yaml"], $$"""
                schema_version: "1.0.0"
                system: { name: copy, version: 1.0.0 }
                components:
                  - { name: src, type: Source, uses: jsonl, config: { path: in.jsonl }, state: { checkpoint_interval_items: {{s_interval}} } }
                  - { name: twice, type: Transformer, uses: map, config: { set: { m: data.n * 2 } } }
                  - { name: lines, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
                  - { name: rows, type: Sink, uses: sqlite_out, config: { table: t } }
                  - { name: print, type: Sink, uses: stdout }
                bindings:
                  - { from: src.out, to: twice.in }
                  - { from: twice.out, to: [lines.in, rows.in, print.in] }
                """);
            File.WriteAllLines(_folder["sys/in.jsonl"], Enumerable.Range(0, s_items).Select(n => $$"""{"n":{{n}}}"""));
            _bytes = Enumerable.Range(0, s_items).Sum(n => (long)Line(n).Length + 1);
        }

        /// <summary>Events that were printed again after a crash.</summary>
        public long Repeated { get; private set; }

        /// <summary>The most of them in one run.</summary>
        public long MostRepeated { get; private set; }

        /// <summary>Kills that cut a line while it was being committed.</summary>
        public int Torn { get; private set; }

        private string Output => _folder["sys/out.jsonl"];

        /// <summary>Starts it and kills it after a time.</summary>
        public async Task<(bool Struck, bool Flowed)> KillAfterAsync(TimeSpan time)
        {
            using var run = Start();
            var (before, printed) = (Length(), ReadAsync(run));
            await Task.WhenAny(run.WaitForExitAsync(), Task.Delay(time));
            return await KillAsync(run, before, printed);
        }

        /// <summary>Starts it and kills it once so much of the output is visible.</summary>
        public async Task<(bool Struck, bool Flowed)> KillAtAsync(double part)
        {
            using var run = Start();
            var (before, printed) = (Length(), ReadAsync(run));
            await Loom.Testing.Deadline.Until(() => run.HasExited || (Length() > before && Length() >= part * _bytes), "it writes", RunningLoom.Deadline);
            return await KillAsync(run, before, printed);
        }

        /// <summary>Lets it end, and looks at all it has made.</summary>
        public async Task FinishAsync()
        {
            using var run = Start();
            var printed = ReadAsync(run);
            await run.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
            await printed;
            run.ExitCode.ShouldBe(0);
            var torn = Torn;
            CheckVisible().ShouldBe(s_items);
            Torn.ShouldBe(torn, "the end is a whole line");
            _printed.Count.ShouldBe(s_items, "stdout was flushed before each checkpoint: nothing may be missing");
            using var database = new SqliteConnection($"Data Source={_folder["sys/data.db"]};Mode=ReadOnly;Pooling=False");
            database.Open();
            using var command = database.CreateCommand();
            command.CommandText = "SELECT count(*) || '/' || count(DISTINCT n) || '/' || sum(n) || '/' || sum(m) FROM t";
            var sum = (long)s_items * (s_items - 1) / 2;
            command.ExecuteScalar().ShouldBe($"{s_items}/{s_items}/{sum}/{2 * sum}");
            await NothingLivesAsync();
        }

        public void Dispose() => _folder.Dispose();

        private static string Line(int n) => $$"""{"n":{{n}},"m":{{2 * n}}}""";

        private long Length() => File.Exists(Output) ? new FileInfo(Output).Length : 0;

        private async Task<(bool Struck, bool Flowed)> KillAsync(Process run, long before, Task printed)
        {
            run.Kill(); // SIGKILL, to it alone
            await run.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
            await printed;
            CheckVisible();
            await NothingLivesAsync();
            return (run.ExitCode == 137, run.ExitCode == 137 && Length() > before);
        }

        // What is visible is always a first part of the whole, each line once. A kill may cut the last line: the next start writes it to its end.
        private int CheckVisible()
        {
            var text = File.Exists(Output) ? File.ReadAllText(Output) : "";
            var lines = text.Split('\n');
            for (var n = 0; n < lines.Length - 1; n++)
            {
                if (lines[n] != Line(n))
                {
                    lines[n].ShouldBe(Line(n), $"line {n} of {lines.Length}");
                }
            }

            Line(lines.Length - 1).ShouldStartWith(lines[^1]);
            Torn += lines[^1].Length > 0 ? 1 : 0;
            return lines.Length - 1;
        }

        private Task NothingLivesAsync() =>
            Loom.Testing.Deadline.Until(() => RunningLoom.ProcessesWith("LOOM_DRILL=" + _mark).Count == 0, "nothing of the run lives", RunningLoom.Deadline);

        private async Task ReadAsync(Process run)
        {
            var error = run.StandardError.ReadToEndAsync();
            var before = Repeated;
            while (await run.StandardOutput.ReadLineAsync() is { } line)
            {
                // The last line of one that was killed may be a part.
                if (line.EndsWith('}') && !_printed.Add(line))
                {
                    Repeated++;
                }
            }

            MostRepeated = Math.Max(MostRepeated, Repeated - before);
            await error;
        }

        private Process Start()
        {
            var start = new ProcessStartInfo(RunningLoom.Program, ["harness", "run", "sys", "--unlocked", "--port", "0"])
            {
                WorkingDirectory = _folder.Path,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            start.Environment["LOOM_DRILL"] = _mark;
            return Process.Start(start)!;
        }
    }
}
