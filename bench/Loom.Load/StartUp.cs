using System.Diagnostics;

namespace Loom.Load;

/// <summary>How long the command line takes: help, and a whole start and stop of a project with one mock engine.</summary>
internal static class StartUp
{
    public static void Run(string loom, string folder, int rounds, Report report)
    {
        var project = Directory.CreateDirectory(Path.Combine(folder, "start")).FullName;
        File.WriteAllText(Path.Combine(project, "loom.toml"), "[serving.engines.m]\nkind = \"mock\"\n[serving.pools.default]\nengine = \"m\"\n");
        var help = new List<double>();
        var up = new List<double>();
        var down = new List<double>();
        for (var round = -1; round < rounds; round++)
        {
            var times = (Time(loom, "--help", project), Time(loom, $"up -d -q -C {project}", project), Time(loom, $"down -q -C {project}", project));
            if (round >= 0)
            {
                help.Add(times.Item1);
                up.Add(times.Item2);
                down.Add(times.Item3);
            }
        }

        report.Line("");
        report.Line("### Command line, one mock engine");
        report.Line("");
        report.Line($"- `loom --help`: {Sample.Median(help):0} ms");
        report.Line($"- `loom up -d` until ready: {Sample.Median(up):0} ms");
        report.Line($"- `loom down`: {Sample.Median(down):0} ms");
    }

    private static double Time(string program, string arguments, string folder)
    {
        var info = new ProcessStartInfo(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true };
        info.Environment["ORCHESTRATORD_BIND_ADDR"] = "127.0.0.1:0";
        info.Environment["POOL_MANAGERD_BIND_ADDR"] = "127.0.0.1:0";
        info.Environment["PROMETHEUS_METRICS_PORT"] = "0";
        var start = Stopwatch.GetTimestamp();
        using var process = Process.Start(info)!;
        _ = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        process.WaitForExit();
        return process.ExitCode == 0
            ? Stopwatch.GetElapsedTime(start).TotalMilliseconds
            : throw new InvalidOperationException($"loom {arguments} ended with {process.ExitCode}: {error.GetAwaiter().GetResult()}");
    }
}
