using Loom.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>What weeks of running would do, in minutes.</summary>
[Collection(Alone.Name)]
public sealed class EnduranceDrills : IAsyncLifetime
{
    private static readonly RestartPolicy s_atOnce = new()
    {
        When = RestartWhen.Always, BackoffFirst = TimeSpan.FromMilliseconds(1), BackoffMax = TimeSpan.FromMilliseconds(1), Storm = int.MaxValue,
    };

    private readonly DrillBench _bench = new(adoptStrays: true);

    private Supervisor Supervisor => _bench.Supervisor;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Fact]
    public Task Restarts_AThousand_LeaveNoDescriptorThreadZombieOrMemory() => Drill.RunAsync("restarts of one process", 1, 1, async _ =>
    {
        var restarts = Drill.Count(200, 1000);
        await Supervisor.AddAsync(_bench.Shell("loop", "echo $$; (true &); exit 1") with { Restart = s_atOnce }, default);
        await Deadline.Until(() => _bench.One("loop").Restarts >= 50, "warmed up", TimeSpan.FromMinutes(1));
        await Supervisor.StopAsync("loop", default);
        await Deadline.Until(() => Watched() == 0, "nothing is watched");
        var (descriptors, threads, memory) = (Descriptors(), Threads(), Resident());
        var others = Zombies(); // this program is a subreaper: orphans of other tests' programs end here too

        await Supervisor.StartAsync("loop", default);
        await Deadline.Until(() => _bench.One("loop").Restarts >= restarts, $"{restarts} restarts", TimeSpan.FromMinutes(5));
        await Supervisor.StopAsync("loop", default);
        // The platform and the thread pool breathe; a leak would be one for each restart.
        var few = Drill.Full ? 3 : restarts / 10;
        await Deadline.Until(() => Descriptors() <= descriptors + few, $"no more than {descriptors} descriptors");
        await Deadline.Until(() => Threads() <= threads + few, $"no more than {threads} threads");
        await Deadline.Until(() => !Zombies().Except(others).Any(), "no zombie");
        var growth = Resident() - memory;
        Drill.Report($"memory after {restarts} restarts", 1, 1, $"{growth / 1e6:0.0} MB more");
        growth.ShouldBeLessThan(Drill.Full ? 5_000_000 : 30_000_000);
    });

    [Fact]
    public Task CrashLoop_QuickBackoff_FailsOnTheEleventhRestart() => Drill.RunAsync("crash loop, backoff 10ms..50ms", 10, 10, async round =>
    {
        var policy = new RestartPolicy { BackoffFirst = TimeSpan.FromMilliseconds(10), BackoffMax = TimeSpan.FromMilliseconds(50) };
        await Supervisor.AddAsync(_bench.Shell($"crash-{round}", "exit 3") with { Restart = policy }, default);
        var end = await Supervisor.WaitAsync($"crash-{round}", default);
        (end.State, end.Spawns, end.Restarts).ShouldBe((ProcessState.Failed, 11, 10));
    });

    // The real minute only in full: ChildMachineTests holds the same with a clock of its own.
    [Fact]
    public async Task CrashLoop_DefaultDelays_AtMostSevenSpawnsAMinuteAndTheNeighbourUnharmed()
    {
        Assert.SkipUnless(Drill.Full, "takes its minute only in ./test drills");
        await Supervisor.AddAsync(_bench.Shell("neighbour", "exec sleep 600"), default);
        await Drill.RunAsync("crash loop, default delays", 10, 10, atOnce: 10, once: async round =>
        {
            await Supervisor.AddAsync(_bench.Shell($"crash-{round}", "exit 3"), default);
            await Task.Delay(TimeSpan.FromSeconds(60)); // the drill's own condition
            _bench.One($"crash-{round}").Spawns.ShouldBeInRange(5, 7);
        });
        (_bench.One("neighbour").State, _bench.One("neighbour").Spawns).ShouldBe((ProcessState.Ready, 1));
    }

    [Fact]
    public Task DiskFull_ChildIsNotBlocked_LossIsCountedAndWritingResumes() => Drill.RunAsync("disk full for logs", 2, 10, async round =>
    {
        var (name, flag) = ($"full-{round}", _bench.Folder[$"flag-{round}"]);
        var log = _bench.Folder[$"{name}.log"];
        File.CreateSymbolicLink(log, "/dev/full");
        await Supervisor.AddAsync(_bench.Shell(name, "seq 1 100000; echo done > \"$0\"; while :; do echo again; sleep 0.1; done", flag), default);
        await Deadline.Until(() => File.Exists(flag), "the child went on");

        File.Delete(log);
        await Deadline.Until(() => File.Exists(log) && File.ReadAllText(log).Contains(" again\n"), "writing resumed", TimeSpan.FromSeconds(60));
        var first = File.ReadLines(log).First();
        first.ShouldContain("lines lost: cannot write");
        int.Parse(first.Split(' ')[2]).ShouldBeGreaterThanOrEqualTo(100_000);
        await Supervisor.RemoveAsync(name, default);
    });

    [Fact(Timeout = 240_000)]
    public async Task Crash_GrandchildHoldsThePipe_IsNoticedAtOnceAndTheGrandchildEnds()
    {
        var mark = NastyChildren.NewMark();
        await Supervisor.AddAsync(_bench.Shell("holder", "sleep $0 & exit 7", mark) with { Restart = RestartPolicy.Never }, default);
        var end = await Supervisor.WaitAsync("holder", default).WaitAsync(TimeSpan.FromSeconds(50)); // the pipe stays open for 10 minutes
        end.LastExit!.Code.ShouldBe(7);
        NastyChildren.Survivors(mark).ShouldBeEmpty();
    }

    [Fact(Timeout = 300_000)]
    public async Task StopAll_Fifty_TakesNoLongerThanOne()
    {
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => Supervisor.AddAsync(_bench.Shell($"s{i}", "exec sleep 600"), default)));
        var start = TimeProvider.System.GetTimestamp();
        await Supervisor.StopAllAsync(default);
        TimeProvider.System.GetElapsedTime(start).ShouldBeLessThan(TimeSpan.FromSeconds(Drill.Count(60, 5)));
    }

    private static int Descriptors() => Directory.GetFiles("/proc/self/fd").Length;

    private static int Watched() => Directory.GetFiles("/proc/self/fd").Count(f => new FileInfo(f).LinkTarget?.Contains("pidfd") == true);

    private static int Threads() => Directory.GetDirectories("/proc/self/task").Length;

    private static long Resident()
    {
        GC.Collect(2, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        return long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * Environment.SystemPageSize;
    }

    private static HashSet<string> Zombies() => Directory.EnumerateDirectories("/proc").Where(d => char.IsAsciiDigit(d[^1])).Where(d =>
    {
        try
        {
            var stat = File.ReadAllText($"{d}/stat");
            var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] == "Z" && fields[1] == Environment.ProcessId.ToString();
        }
        catch (IOException)
        {
            return false;
        }
    }).ToHashSet();
}
