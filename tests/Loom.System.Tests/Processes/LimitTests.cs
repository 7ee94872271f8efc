using System.Collections.Immutable;
using Loom.Processes;
using Loom.Processes.Cgroups;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

public sealed class LimitTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly List<Supervisor> _supervisors = [];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var supervisor in _supervisors)
        {
            await supervisor.DisposeAsync();
        }

        _folder.Dispose();
    }

    [Fact(Timeout = 240_000)]
    public async Task OpenFilesAndNice_AreSetBeforeTheProgramBegins()
    {
        var supervisor = Start(CgroupUse.Off);
        await supervisor.AddAsync(Shell("limited", "ulimit -n; nice; echo $$; exec sleep 600") with { Limits = new ProcessLimits(OpenFiles: 77, Nice: 7) }, default);
        await Deadline.Until(() => supervisor.Tail("limited", 3).Length == 3, "it has looked");
        supervisor.Tail("limited", 3).ShouldBe(["77", "7", $"{supervisor.Processes[0].Pid}"]);
        var (end, tail) = await supervisor.RunToEndAsync(Shell("free", "nice") with { Restart = RestartPolicy.Never }, default);
        end.State.ShouldBe(ProcessState.Completed);
        tail.ShouldBe(["0"]); // the thread with the lowered priority took it with it
    }

    [Fact(Timeout = 240_000)]
    public async Task Memory_WithoutACgroup_IsWatchedAndReportedAsSuch()
    {
        var supervisor = Start(CgroupUse.Off);
        await supervisor.AddAsync(
            Shell("hungry", "") with
            {
                Command = ["python3", "-c", "import time; x = bytearray(120 << 20); x[::4096] = b'x' * len(x[::4096]); time.sleep(600)"],
                Limits = new ProcessLimits(MemoryBytes: 60 << 20),
                Restart = RestartPolicy.Never,
            },
            default);
        var end = await supervisor.WaitAsync("hungry", default);
        end.State.ShouldBe(ProcessState.Failed);
        end.Reason!.ShouldStartWith("memory limit: ");
        end.Reason!.ShouldContain("60.0 MiB allowed");
    }

    [Fact(Timeout = 240_000)]
    public async Task StopCommand_RunsFirst_AndWhatIgnoresItGetsTheSignal()
    {
        var supervisor = Start(CgroupUse.Off);
        await supervisor.AddAsync(
            Shell("polite", "trap 'echo term; exit 0' TERM; echo up; while :; do if [ -e asked ]; then echo asked; rm asked; fi; sleep 0.05; done") with
            {
                StopCommand = ["sh", "-c", "touch asked; while [ -e asked ]; do sleep 0.01; done"],
                Grace = TimeSpan.FromSeconds(20),
            },
            default);
        await Deadline.Until(() => !supervisor.Tail("polite", 1).IsEmpty, "it is up");
        await supervisor.StopAsync("polite", default);
        supervisor.Tail("polite", 9).Where(l => l != "Terminated").ShouldBe(["up", "asked", "term"]); // its sleep is terminated too, and some shells say so
    }

    [Fact(Timeout = 240_000)]
    public async Task Cgroup_Real_HoldsWhatClearedItsEnvironmentAndLeftItsSession_AndIsRemoved()
    {
        Assert.SkipUnless(CgroupSupport.Look() is { Trouble: null }, "no writable cgroup v2 here");
        var mark = NastyChildren.NewMark();
        var supervisor = Start(CgroupUse.Required);
        await supervisor.AddAsync(
            Shell("nasty", "(setsid env -i sh -c 'setsid sleep $0 & setsid sleep $0 & :' $0 &); exec env -i sleep $0", mark) with { Grace = TimeSpan.FromMilliseconds(200) },
            default);
        await Deadline.Until(() => NastyChildren.Survivors(mark).Count(s => s.Contains(": sleep", StringComparison.Ordinal)) == 3, "all have started");
        var group = new ChildGroup(supervisor.Processes[0].Cgroup!);
        await Deadline.Until(() => group.Members().Length == 3, "the shells between them have ended, and nobody has left");
        await supervisor.StopAsync("nasty", default);
        NastyChildren.Survivors(mark).ShouldBeEmpty();
        group.Members().ShouldBeEmpty();
        await supervisor.DisposeAsync();
        Directory.Exists(Path.GetDirectoryName(group.Folder)).ShouldBeFalse();
    }

    [Fact(Timeout = 240_000)]
    public async Task Cgroup_Real_RestartsAndKillReachEverything()
    {
        Assert.SkipUnless(CgroupSupport.Look() is { Trouble: null }, "no writable cgroup v2 here");
        var mark = NastyChildren.NewMark();
        var supervisor = Start(CgroupUse.Required);
        await supervisor.AddAsync(Shell("kinds", NastyChildren.Kinds.Single(k => k.Name == "clean-environment").Script, mark), default);
        for (var i = 0; i < 5; i++)
        {
            await Deadline.Until(() => NastyChildren.Survivors(mark).Length >= 3, "they run");
            await supervisor.RestartAsync("kinds", default);
        }

        await supervisor.StopAsync("kinds", default);
        NastyChildren.Survivors(mark).ShouldBeEmpty();
    }

    // Where no kernel answers, the files say what would have been asked of it.
    [Fact(Timeout = 240_000)]
    public async Task Cgroup_InAFolder_LimitsAreWrittenInTheKernelsForm()
    {
        await File.WriteAllTextAsync(_folder["cgroup.controllers"], "cpuset cpu io memory pids\n");
        await File.WriteAllTextAsync(_folder["cgroup.procs"], "");
        var supervisor = Start(CgroupUse.Required, _folder.Path);
        await supervisor.AddAsync(
            Shell("limited", "exec sleep 600") with { Limits = new ProcessLimits(MemoryBytes: 64 << 20, Pids: 12, Cpu: 0.5) }, default);
        var group = supervisor.Processes[0].Cgroup!;
        Read("memory.max").ShouldBe("67108864");
        Read("memory.oom.group").ShouldBe("1");
        Read("pids.max").ShouldBe("12");
        Read("cpu.max").ShouldBe("50000 100000");
        await Deadline.Until(() => Read("cgroup.procs") == "0\n", "the child has entered");
        (await File.ReadAllTextAsync(_folder["cgroup.subtree_control"])).ShouldBe("+cpu +memory +pids");

        string Read(string file) => Path.Combine(group, file) is var path && File.Exists(path) ? File.ReadAllText(path) : "";
    }

    [Fact(Timeout = 240_000)]
    public async Task Cgroup_Required_RefusesWhatItCannotHold()
    {
        Should.Throw<IOException>(() => Start(CgroupUse.Required, _folder["nowhere"])).Message.ShouldContain("cannot be made");

        await File.WriteAllTextAsync(_folder["cgroup.controllers"], "memory\n");
        await File.WriteAllTextAsync(_folder["cgroup.procs"], "");
        var supervisor = Start(CgroupUse.Required, _folder.Path);
        await supervisor.AddAsync(Shell("limited", "exec sleep 600") with { Limits = new ProcessLimits(Pids: 12) }, default);
        supervisor.Processes[0].State.ShouldBe(ProcessState.Failed);
        supervisor.Processes[0].Reason!.ShouldContain("limits.pids needs a writable cgroup with the pids controller");
    }

    private Supervisor Start(CgroupUse use, string? folder = null)
    {
        var supervisor = new Supervisor(new SupervisorOptions { RunId = Guid.NewGuid().ToString("N"), AdoptStrays = false, Cgroup = use, CgroupFolder = folder });
        _supervisors.Add(supervisor);
        return supervisor;
    }

    private ProcessPlan Shell(string name, string script, string argument = "sh") => new()
    {
        Name = name,
        Kind = ProcessKind.Agent,
        Command = ["sh", "-c", script, argument],
        WorkingDirectory = _folder.Path,
        Environment = ImmutableDictionary<string, string>.Empty.Add("PATH", Environment.GetEnvironmentVariable("PATH")!),
        LogPath = _folder[$"{name}.log"],
    };
}
