using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Loom.Load.Supervision;

/// <summary>Loom beside the process supervisors people use: the same workers, the same client, rounds interleaved, medians and ratios.</summary>
internal sealed class SupervisionBench(IReadOnlyList<Contender> contenders, string folder, int rounds, Report report)
{
    private const int Kills = 20;
    private const int Lines = 1_000_000;
    private const int LineWidth = 99;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(120);

    private readonly Dictionary<string, Dictionary<string, List<double>>> _raw = new(StringComparer.Ordinal);

    /// <summary>Measures everything and reports it.</summary>
    /// <returns>Versions and raw numbers, as JSON.</returns>
    public string Run()
    {
        using var births = new Births(folder);
        for (var round = 0; round < rounds; round++)
        {
            foreach (var contender in Rotated(round))
            {
                ColdStart(contender, births);
                Restarts(contender, births);
                FiftyWorkers(contender, births);
                Memory(contender, births);
                Throughput(contender, births);
            }
        }

        Show("kill -9 of a worker to its replacement running", "restart ms", "0.0", lowerIsBetter: true);
        Show("memory a worker, slope from 1 to 201", "bytes per worker", "0", lowerIsBetter: true);
        Show("memory of the supervisor with one worker", "bytes with one", "0", lowerIsBetter: true);
        Show("status of 50 workers", "status ms", "0", lowerIsBetter: true);
        Show("cold start, 10 workers, until all run", "cold start ms", "0", lowerIsBetter: true);
        Show("stop of 50 obedient workers, until none is left", "stop ms", "0", lowerIsBetter: true);
        Show("log throughput of one worker", "lines per second", "0", lowerIsBetter: false);
        Show("lines lost", "lines lost", "0", lowerIsBetter: true);
        return JsonSerializer.Serialize(
            new { cores = System.Environment.ProcessorCount, rounds, versions = contenders.ToDictionary(c => c.Name, c => c.Version), samples = _raw },
            new JsonSerializerOptions { WriteIndented = true });
    }

    private IEnumerable<Contender> Rotated(int round) => contenders.Select((_, i) => contenders[(i + round) % contenders.Count]);

    private void ColdStart(Contender contender, Births births)
    {
        var start = Stopwatch.GetTimestamp();
        contender.Up(Sleepers(births, 10));
        var (pids, last) = births.Wait(10);
        Add("cold start ms", contender, Stopwatch.GetElapsedTime(start, last).TotalMilliseconds);
        End(contender, pids.Values);
    }

    private void Restarts(Contender contender, Births births)
    {
        contender.Up(Sleepers(births, 10));
        var (pids, _) = births.Wait(10);
        Thread.Sleep(1500); // past every contender's idea of a good start
        births.Clear();
        for (var i = 0; i < Kills; i++)
        {
            var victim = $"w{i % 10}";
            var start = Stopwatch.GetTimestamp();
            Contender.Run("kill", ["-KILL", pids[victim].ToString(CultureInfo.InvariantCulture)], folder, []);
            var (born, at) = births.Wait(1);
            pids[victim] = born[victim];
            Add("restart ms", contender, Stopwatch.GetElapsedTime(start, at).TotalMilliseconds);
            Thread.Sleep(100);
        }

        End(contender, pids.Values);
    }

    private void FiftyWorkers(Contender contender, Births births)
    {
        contender.Up(Sleepers(births, 50));
        var (pids, _) = births.Wait(50);
        Thread.Sleep(1500);
        for (var i = 0; i < 5; i++)
        {
            var asked = Stopwatch.GetTimestamp();
            contender.Status();
            Add("status ms", contender, Stopwatch.GetElapsedTime(asked).TotalMilliseconds);
        }

        var start = Stopwatch.GetTimestamp();
        var gone = Task.Run(() => WaitGone(pids.Values));
        contender.Down();
        gone.Wait();
        Add("stop ms", contender, Stopwatch.GetElapsedTime(start, gone.Result).TotalMilliseconds);
        WaitGone(OwnOrNone(contender));
    }

    private void Memory(Contender contender, Births births)
    {
        var resident = new List<double>();
        foreach (var count in new[] { 1, 201 })
        {
            contender.Up(Sleepers(births, count));
            var (pids, _) = births.Wait(count);
            Thread.Sleep(3000);
            resident.Add(contender.Resident());
            End(contender, pids.Values);
        }

        Add("bytes with one", contender, resident[0]);
        Add("bytes per worker", contender, (resident[1] - resident[0]) / 200);
    }

    private void Throughput(Contender contender, Births births)
    {
        var log = contender.LogOf("writer");
        File.Delete(log);
        contender.Up([new Worker("writer", $"echo writer $$ > {births.Path}; seq -f %0{LineWidth}.0f 1 {Lines}; echo; exec sleep 100000")]);
        _ = births.Wait(1);
        var asked = Stopwatch.GetTimestamp();
        var written = Lines.ToString("D" + LineWidth.ToString(CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        while (!(File.Exists(log) && Tail(log).Contains(written, StringComparison.Ordinal)) && Stopwatch.GetElapsedTime(asked) < s_patience)
        {
            Thread.Sleep(5); // a line that never comes is counted as lost below
        }

        // By the file's own time: the command that starts a contender may return long after the worker has written everything.
        var seconds = (File.GetLastWriteTimeUtc(log) - births.LastAt).TotalSeconds;
        var lines = File.ReadLines(log).Count(l => l.Contains("0000000000", StringComparison.Ordinal));
        Add("lines per second", contender, lines / seconds);
        Add("lines lost", contender, Lines - lines);
        File.Delete(log);
        var own = OwnOrNone(contender);
        contender.Down();
        WaitGone(own);
    }

    private static string Tail(string log)
    {
        using var file = new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        file.Seek(-Math.Min(file.Length, 400), SeekOrigin.End);
        return new StreamReader(file).ReadToEnd();
    }

    private static Worker[] Sleepers(Births births, int count) => [.. Enumerable.Range(0, count).Select(i => births.Sleeper($"w{i}"))];

    private static void End(Contender contender, IEnumerable<int> pids)
    {
        var own = OwnOrNone(contender);
        contender.Down();
        WaitGone([.. pids, .. own]);
    }

    private static IReadOnlyList<int> OwnOrNone(Contender contender)
    {
        try
        {
            return contender.Own();
        }
        catch (IOException)
        {
            return []; // it has ended and taken its pid file with it
        }
    }

    /// <summary>Waits until none of the processes is left.</summary>
    /// <returns>Timestamp of that moment.</returns>
    private static long WaitGone(IEnumerable<int> pids)
    {
        var start = Stopwatch.GetTimestamp();
        foreach (var pid in pids)
        {
            while (Directory.Exists($"/proc/{pid}"))
            {
                if (Stopwatch.GetElapsedTime(start) > s_patience)
                {
                    throw new TimeoutException($"process {pid} is still there");
                }

                Thread.Sleep(1);
            }
        }

        return Stopwatch.GetTimestamp();
    }

    private void Add(string what, Contender contender, double value)
    {
        var byName = _raw.TryGetValue(what, out var known) ? known : _raw[what] = new(StringComparer.Ordinal);
        (byName.TryGetValue(contender.Name, out var list) ? list : byName[contender.Name] = []).Add(value);
    }

    private void Show(string title, string what, string format, bool lowerIsBetter)
    {
        report.Line("");
        report.Line($"### {title} ({what}; {(lowerIsBetter ? "lower" : "higher")} is better)");
        report.Line("");
        report.Line("| contender | median | p99 | samples | loom to it |");
        report.Line("|---|---|---|---|---|");
        var loom = Sample.Median(_raw[what]["loom"]);
        foreach (var (name, values) in _raw[what].OrderBy(p => p.Key, StringComparer.Ordinal))
        {
            var median = Sample.Median(values);
            var high = new Sample(0, 0, 0, values).Quantile(0.99);
            report.Line($"| {name} | {median.ToString(format, CultureInfo.InvariantCulture)} | {high.ToString(format, CultureInfo.InvariantCulture)} | {values.Count} | {(median == 0 ? "-" : (loom / median).ToString("0.00", CultureInfo.InvariantCulture) + "×")} |");
        }
    }
}
