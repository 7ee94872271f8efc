using System.Collections.Immutable;
using Loom.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>What weeks of running would do, in seconds.</summary>
[Collection(Alone.Name)]
public sealed class EnduranceDrills : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly Supervisor _supervisor = new(new SupervisorOptions { RunId = Guid.NewGuid().ToString("N"), AdoptStrays = true });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _supervisor.DisposeAsync();
        _folder.Dispose();
    }

    [Fact(Timeout = 60_000)]
    public async Task Restarts_ThreeHundred_LeaveNoDescriptorThreadOrZombie()
    {
        var policy = new RestartPolicy
        {
            When = RestartWhen.Always, BackoffFirst = TimeSpan.FromMilliseconds(1), BackoffMax = TimeSpan.FromMilliseconds(1), Storm = int.MaxValue,
        };
        await _supervisor.AddAsync(Shell("loop", "echo $$; (true &); exit 1") with { Restart = policy }, default);
        await Deadline.Until(() => One("loop").Restarts >= 50, "warmed up");
        await _supervisor.StopAsync("loop", default);
        await Deadline.Until(() => Pipes() == 0, "pipes closed");
        var (descriptors, threads) = (Descriptors(), Threads());
        var others = Zombies(); // this program is a subreaper: orphans of other tests' programs end here too

        await _supervisor.StartAsync("loop", default);
        await Deadline.Until(() => One("loop").Restarts >= 300, "300 restarts");
        await _supervisor.StopAsync("loop", default);
        await Deadline.Until(() => Descriptors() <= descriptors, $"no more than {descriptors} descriptors");
        Threads().ShouldBeLessThanOrEqualTo(threads + 3); // the thread pool breathes
        await Deadline.Until(() => !Zombies().Except(others).Any(), "no zombie");
    }

    [Fact(Timeout = 60_000)]
    public async Task Flood_TwoHundredMegabytesWithoutALine_StaysBoundedAndIsKeptWhole()
    {
        const int Megabytes = 200;
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var plan = Shell("flood", $"head -c {Megabytes}M /dev/zero | tr '\\0' x; echo; echo end") with
        {
            Restart = RestartPolicy.Never,
            Log = new LogOptions { MaxBytes = 1_000_000_000, Timestamps = false },
        };
        await _supervisor.AddAsync(plan, default);
        (await _supervisor.WaitAsync("flood", default)).State.ShouldBe(ProcessState.Completed);
        await Deadline.Until(() => _supervisor.Tail("flood", 1) is ["end"], "the last line");
        (GC.GetTotalMemory(forceFullCollection: true) - before).ShouldBeLessThan(50_000_000);
        using var log = File.OpenText(_folder["flood.log"]);
        var kept = 0L;
        while (await log.ReadLineAsync() is { } line)
        {
            kept += line.AsSpan().Count('x');
        }

        kept.ShouldBe(Megabytes * 1024L * 1024L);
    }

    [Fact(Timeout = 60_000)]
    public async Task Flood_TwentyTalkers_EveryLineIsOnDiskOnceAcrossRotations()
    {
        const int Lines = 10_000;
        for (var i = 0; i < 20; i++)
        {
            await _supervisor.AddAsync(
                Shell($"talker-{i}", $"seq 1 {Lines}") with
                {
                    Restart = RestartPolicy.Never,
                    Log = new LogOptions { MaxBytes = 50_000, Keep = 50 },
                },
                default);
        }

        for (var i = 0; i < 20; i++)
        {
            (await _supervisor.WaitAsync($"talker-{i}", default)).State.ShouldBe(ProcessState.Completed);
        }

        await _supervisor.StopAllAsync(default);
        for (var i = 0; i < 20; i++)
        {
            var numbers = Directory.GetFiles(_folder.Path, $"talker-{i}.log*").SelectMany(File.ReadLines).Select(l => int.Parse(l.Split(' ')[1])).Order().ToList();
            numbers.ShouldBe(Enumerable.Range(1, Lines));
        }
    }

    [Fact(Timeout = 60_000)]
    public async Task DiskFull_ChildIsNotBlocked_LossIsCountedAndWritingResumes()
    {
        File.CreateSymbolicLink(_folder["full.log"], "/dev/full");
        await _supervisor.AddAsync(Shell("full", "seq 1 100000; echo done > \"$FLAG\"; while :; do echo again; sleep 0.1; done"), default);
        await Deadline.Until(() => File.Exists(_folder["flag"]), "the child went on");

        File.Delete(_folder["full.log"]);
        await File.WriteAllTextAsync(_folder["full.log"], "");
        await Deadline.Until(() => File.ReadAllText(_folder["full.log"]).Contains(" again\n"), "writing resumed", TimeSpan.FromSeconds(5));
        var first = File.ReadLines(_folder["full.log"]).First();
        first.ShouldContain("lines lost: cannot write");
        int.Parse(first.Split(' ')[2]).ShouldBeGreaterThanOrEqualTo(100_000);
    }

    [Fact(Timeout = 60_000)]
    public async Task Stop_ChildThatDoubleForkedAndCalledSetsid_EverythingIsGoneAndNeighboursLive()
    {
        var mark = NastyChildren.NewMark();
        await _supervisor.AddAsync(Shell("neighbour", "exec sleep 600"), default);
        await _supervisor.AddAsync(
            Shell("nasty", "(setsid sh -c \"trap '' TERM; sleep $0; :\" $0 &); (setsid sleep $0 &); exec sleep $0", mark) with { Grace = TimeSpan.FromMilliseconds(200) },
            default);
        await Deadline.Until(() => NastyChildren.Survivors(mark).Length >= 4, "all have started");
        await _supervisor.StopAsync("nasty", default);
        NastyChildren.Survivors(mark).ShouldBeEmpty();
        One("neighbour").LastExit.ShouldBeNull();
    }

    [Fact(Timeout = 60_000)]
    public async Task Crash_GrandchildHoldsThePipe_IsNoticedAtOnceAndTheGrandchildEnds()
    {
        var mark = NastyChildren.NewMark();
        await _supervisor.AddAsync(Shell("holder", "sleep $0 & exit 7", mark) with { Restart = RestartPolicy.Never }, default);
        var end = await _supervisor.WaitAsync("holder", default).WaitAsync(TimeSpan.FromSeconds(5));
        end.LastExit!.Code.ShouldBe(7);
        NastyChildren.Survivors(mark).ShouldBeEmpty();
    }

    [Fact(Timeout = 60_000)]
    public async Task StopAll_Fifty_TakesNoLongerThanOne()
    {
        await Task.WhenAll(Enumerable.Range(0, 50).Select(i => _supervisor.AddAsync(Shell($"s{i}", "exec sleep 600"), default)));
        var start = TimeProvider.System.GetTimestamp();
        await _supervisor.StopAllAsync(default);
        TimeProvider.System.GetElapsedTime(start).ShouldBeLessThan(TimeSpan.FromSeconds(3));
        TestContext.Current.TestOutputHelper?.WriteLine($"stopped 50 in {TimeProvider.System.GetElapsedTime(start).TotalMilliseconds:0} ms");
    }

    private static int Descriptors() => Directory.GetFiles("/proc/self/fd").Length;

    private static int Pipes() => Directory.GetFiles("/proc/self/fd").Count(f => new FileInfo(f).LinkTarget?.Contains("pidfd") == true);

    private static int Threads() => Directory.GetDirectories("/proc/self/task").Length;

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

    private ProcessSnapshot One(string name) => _supervisor.Processes.Single(p => p.Name == name);

    private ProcessPlan Shell(string name, string script, string argument = "sh") => new()
    {
        Name = name,
        Kind = ProcessKind.Agent,
        Command = ["sh", "-c", script, argument],
        WorkingDirectory = _folder.Path,
        Environment = ImmutableDictionary<string, string>.Empty.Add("PATH", Environment.GetEnvironmentVariable("PATH")!).Add("FLAG", _folder["flag"]),
        LogPath = _folder[$"{name}.log"],
    };
}
