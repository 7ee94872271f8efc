using System.Collections.Immutable;
using Loom.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

public sealed class SupervisorTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly Supervisor _supervisor = new(new SupervisorOptions { RunId = Guid.NewGuid().ToString("N"), AdoptStrays = false });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _supervisor.DisposeAsync();
        _folder.Dispose();
    }

    [Fact(Timeout = 240_000)]
    public async Task Add_PlainChild_RunsBecomesReadyStopsAndLeavesNothing()
    {
        await _supervisor.AddAsync(Shell("plain", "echo hello; echo oops >&2; exec sleep 600"), default);
        One("plain").State.ShouldBeOneOf(ProcessState.Running, ProcessState.Ready); // a second may have passed
        var pid = One("plain").Pid!.Value;
        await Deadline.Until(() => One("plain").State == ProcessState.Ready, "ready after a second");

        await _supervisor.StopAsync("plain", default);

        One("plain").State.ShouldBe(ProcessState.Stopped);
        One("plain").LastExit!.Signal.ShouldBe(15);
        Directory.Exists($"/proc/{pid}").ShouldBeFalse();
        _supervisor.Tail("plain", 10).ShouldBe(["hello", "oops"], ignoreOrder: true);
        (await File.ReadAllLinesAsync(_folder["plain.log"])).Length.ShouldBe(2);
    }

    [Fact(Timeout = 240_000)]
    public async Task Add_CommandThatDoesNotExist_FailsAtOnceAndSaysWhere()
    {
        await _supervisor.AddAsync(Shell("none", "") with { Command = ["no-such-program-here"] }, default);
        One("none").State.ShouldBe(ProcessState.Failed);
        One("none").Reason!.ShouldContain("command 'no-such-program-here' not found in PATH");
    }

    [Fact(Timeout = 240_000)]
    public async Task Crash_WithQuickBackoff_RestartsUntilTheStormLimit()
    {
        var policy = new RestartPolicy { BackoffFirst = TimeSpan.FromMilliseconds(10), BackoffMax = TimeSpan.FromMilliseconds(50) };
        await _supervisor.AddAsync(Shell("crash", "exit 3") with { Restart = policy }, default);
        var end = await _supervisor.WaitAsync("crash", default);
        end.State.ShouldBe(ProcessState.Failed);
        end.Spawns.ShouldBe(11);
        end.Restarts.ShouldBe(10);
        end.LastExit!.Code.ShouldBe(3);
        end.Reason!.ShouldContain("storm limit of 10");
    }

    [Fact(Timeout = 240_000)]
    public async Task Ready_HttpProbe_TurnsReadyWhenThePortAnswers()
    {
        var port = FreePorts.Next();
        var plan = Shell("web", "") with
        {
            Command = ["python3", "-m", "http.server", port.ToString(), "--bind", "127.0.0.1"],
            Ready = new ProbePlan { Check = new ProbeCheck.Http(new Uri($"http://127.0.0.1:{port}/")), Every = TimeSpan.FromMilliseconds(50) },
            Live = new ProbePlan { Check = new ProbeCheck.Tcp("127.0.0.1", port), Every = TimeSpan.FromMilliseconds(100), Timeout = TimeSpan.FromSeconds(30) },
        };
        await _supervisor.AddAsync(plan, default);
        await Deadline.Until(() => One("web").State == ProcessState.Ready, "ready by http");

        await _supervisor.AddAsync(plan with { Name = "second", LogPath = _folder["second.log"], Restart = RestartPolicy.Never }, default);
        var end = await _supervisor.WaitAsync("second", default);
        end.State.ShouldBe(ProcessState.Failed);
        end.Reason!.ShouldContain($"port {port}");
        end.Reason!.ShouldContain($"pid {One("web").Pid} (python3");
    }

    [Fact(Timeout = 240_000)]
    public async Task Ready_LogLine_OfThisIncarnationOnly()
    {
        await _supervisor.AddAsync(
            Shell("talker", "echo warming; sleep 0.1; echo 'listening on 8080'; exec sleep 600") with
            {
                Ready = new ProbePlan { Check = new ProbeCheck.Log("listening on [0-9]+") },
            },
            default);
        await Deadline.Until(() => One("talker").State == ProcessState.Ready, "ready by its line");
    }

    [Fact(Timeout = 240_000)]
    public async Task Stop_ChildThatIgnoresTerm_IsKilledAfterItsGrace()
    {
        await _supervisor.AddAsync(
            Shell("stubborn", "trap '' TERM; echo up; while :; do sleep 0.2; done") with { Grace = TimeSpan.FromMilliseconds(300) }, default);
        await Deadline.Until(() => !_supervisor.Tail("stubborn", 1).IsEmpty, "its trap is set");
        var start = TimeProvider.System.GetTimestamp();
        await _supervisor.StopAsync("stubborn", default);
        TimeProvider.System.GetElapsedTime(start).ShouldBeInRange(TimeSpan.FromSeconds(0.3), TimeSpan.FromSeconds(120)); // StopDrills holds the half second
        One("stubborn").LastExit!.Signal.ShouldBe(9);
    }

    [Fact(Timeout = 240_000)]
    public async Task Ready_ExecProbe_RunsInTheChildsFolderAndIsKilledAtItsTimeout()
    {
        var mark = NastyChildren.NewMark();
        await _supervisor.AddAsync(
            Shell("served", "sleep 0.3; touch there; exec sleep 600") with
            {
                Ready = new ProbePlan { Check = new ProbeCheck.Exec(["test", "-e", "there"]), Every = TimeSpan.FromMilliseconds(50) },
                Live = new ProbePlan
                {
                    Check = new ProbeCheck.Exec(["sh", "-c", "trap '' TERM; sleep $0", mark]),
                    Every = TimeSpan.FromMilliseconds(10), Timeout = TimeSpan.FromMilliseconds(100), Failures = 2,
                },
                Restart = RestartPolicy.Never,
                Grace = TimeSpan.FromMilliseconds(100),
            },
            default);
        // It lives only some tenths of a second once it is ready: that it was is told by the probes that follow only then.
        var end = await _supervisor.WaitAsync("served", default);
        end.State.ShouldBe(ProcessState.Failed);
        end.Reason!.ShouldContain("2 liveness probes failed in a row; last: sh: no answer within 0.1 s");
        NastyChildren.Survivors(mark).ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Child_InheritsNothing_NoDescriptorNoTerminalNoIgnoredSignal()
    {
        await _supervisor.AddAsync(
            Shell("bare", "ls /proc/self/fd; readlink /proc/self/fd/0; grep -E '^Sig(Ign|Blk)' /proc/self/status; ps -o pid=,pgid=,sid= -p $$; env") with { Restart = RestartPolicy.Never },
            default);
        (await _supervisor.WaitAsync("bare", default)).State.ShouldBe(ProcessState.Completed);
        var output = _supervisor.Tail("bare", 100);
        output[..4].ShouldBe(["0", "1", "2", "3"]); // 3 is ls's own
        output[4].ShouldBe("/dev/null");
        output[5].ShouldBe("SigBlk:\t0000000000000000");
        output[6].ShouldBeOneOf("SigIgn:\t0000000000000000", "SigIgn:\t0000000180000000"); // 32 and 33 are the C library's own
        output[7].Split(' ', StringSplitOptions.RemoveEmptyEntries).Distinct().Count().ShouldBe(1);
        output[8..].Select(v => v.Split('=')[0]).ShouldBeSubsetOf(["PATH", "PWD", "SHLVL", "_", "OLDPWD", "LOOM_RUN_ID", "LOOM_PROC_ID"]);
    }

    [Fact(Timeout = 240_000)]
    public async Task Output_Secret_IsMaskedInFileTailAndFollowers()
    {
        var followed = new List<LogLine>();
        using var following = _supervisor.FollowOutput(followed.Add);
        await _supervisor.AddAsync(
            Shell("leaky", "printf 'key=sword'; sleep 0.2; echo 'fish-42!'") with
            {
                Restart = RestartPolicy.Never,
                Log = new LogOptions { Secrets = ImmutableDictionary<string, string>.Empty.Add("API_KEY", "swordfish-42") },
            },
            default);
        await _supervisor.WaitAsync("leaky", default);
        _supervisor.Tail("leaky", 1).ShouldBe(["key=[redacted:API_KEY]!"]);
        followed.ShouldHaveSingleItem().Text.ShouldBe("key=[redacted:API_KEY]!");
        (await File.ReadAllTextAsync(_folder["leaky.log"])).ShouldNotContain("swordfish");
    }

    [Fact(Timeout = 240_000)]
    public async Task RunToEnd_Command_GivesItsEndAndItsLastWords()
    {
        var (end, tail) = await _supervisor.RunToEndAsync(Shell("once", "echo working; exit 4") with { Restart = RestartPolicy.Never }, default);
        end.LastExit!.Code.ShouldBe(4);
        tail.ShouldBe(["working"]);
        _supervisor.Processes.ShouldBeEmpty();
    }

    // Its last words have no line end; a grandchild holds nothing, so the pipe is at its end.
    [Fact(Timeout = 240_000)]
    public async Task RunToEnd_LastLineWithoutAnEnd_IsThereWhenTheEndIsTold()
    {
        var (_, tail) = await _supervisor.RunToEndAsync(Shell("torn", "echo one; printf 'error: line 3' >&2; exit 4") with { Restart = RestartPolicy.Never }, default);
        tail.ShouldBe(["one", "error: line 3"], ignoreOrder: true);
    }

    [Fact(Timeout = 240_000)]
    public async Task Stop_WhileWaitingToRestart_EndsTheWait()
    {
        await _supervisor.AddAsync(Shell("waits", "exit 1") with { Restart = new RestartPolicy { BackoffFirst = TimeSpan.FromHours(1), BackoffMax = TimeSpan.FromHours(1) } }, default);
        await Deadline.Until(() => One("waits").State == ProcessState.Backoff, "it waits");
        await _supervisor.StopAsync("waits", default);
        One("waits").State.ShouldBe(ProcessState.Stopped);
        await Should.ThrowAsync<ArgumentException>(() => _supervisor.StopAsync("nobody", default));
    }

    [Fact(Timeout = 240_000)]
    public async Task ReopenLogs_AfterARenameFromOutside_WritesTheNewFile()
    {
        await _supervisor.AddAsync(Shell("talks", "while :; do echo tick; sleep 0.02; done"), default);
        await Deadline.Until(() => !_supervisor.Tail("talks", 1).IsEmpty, "it talks");
        File.Move(_folder["talks.log"], _folder["talks.old"]);
        _supervisor.ReopenLogs();
        await Deadline.Until(() => File.Exists(_folder["talks.log"]) && new FileInfo(_folder["talks.log"]).Length > 0, "the new file grows");
    }

    [Fact(Timeout = 240_000)]
    public async Task Guardian_ThatCannotLive_CostsNoChildItsLife()
    {
        await using var other = new Supervisor(new SupervisorOptions { RunId = Guid.NewGuid().ToString("N"), AdoptStrays = false, GuardianCommand = ["/bin/false"] });
        await other.AddAsync(Shell("unguarded", "exec sleep 600"), default);
        await Deadline.Until(() => other.Processes[0].State == ProcessState.Ready, "the child is ready without a guardian");
    }

    // What it has to be told is more than its pipe holds while it is busy with its own start.
    [Fact(Timeout = 240_000)]
    public async Task Guardian_ThatReadsLate_IsToldEverything()
    {
        var told = _folder["told"];
        await using var other = new Supervisor(new SupervisorOptions
        {
            RunId = Guid.NewGuid().ToString("N"), AdoptStrays = false, GuardianCommand = ["/bin/sh", "-c", $"sleep 2; exec cat > '{told}'"],
        });
        var names = Enumerable.Range(0, 6).Select(i => $"{i}{new string('n', 20_000)}").ToList();
        foreach (var name in names)
        {
            await other.AddAsync(Shell(name, "exec sleep 600") with { LogPath = _folder[$"{name[0]}.log"] }, default);
        }

        await Deadline.Until(() => File.Exists(told) && File.ReadAllLines(told).Select(l => l.Split(' ')[^1]).SequenceEqual(names), "it has read all names");
    }

    [Fact(Timeout = 240_000)]
    public async Task Hurry_DuringALongGrace_KillsAtOnce()
    {
        await _supervisor.AddAsync(Shell("slow", "trap '' TERM; echo up; while :; do sleep 0.2; done") with { Grace = TimeSpan.FromMinutes(5) }, default);
        await Deadline.Until(() => !_supervisor.Tail("slow", 1).IsEmpty, "its trap is set");
        var stopping = _supervisor.StopAllAsync(default);
        _supervisor.Hurry();
        await stopping;
        One("slow").LastExit!.Signal.ShouldBe(9);
    }

    [Fact(Timeout = 240_000)]
    public async Task Fault_WhileStopping_EndsTheWaitAndDisposalGoesOn()
    {
        var chance = new BreakableChance();
        var other = new Supervisor(new SupervisorOptions { RunId = Guid.NewGuid().ToString("N"), AdoptStrays = false, Random = chance });
        await other.AddAsync(Shell("left", "trap '' TERM; echo up; while :; do sleep 0.2; done") with { Grace = TimeSpan.FromMinutes(5) }, default);
        await Deadline.Until(() => !other.Tail("left", 1).IsEmpty, "its trap is set");
        var pid = other.Processes[0].Pid!.Value;
        try
        {
            var stopping = other.StopAllAsync(default);
            await Deadline.Until(() => other.Processes[0].State == ProcessState.Stopping, "it is being stopped");
            chance.Broken = true;
            other.Hurry();
            (await Should.ThrowAsync<ObjectDisposedException>(() => stopping)).InnerException.ShouldBeOfType<InvalidOperationException>();
            other.Fault.ShouldNotBeNull();
            await Should.ThrowAsync<ObjectDisposedException>(() => other.StopAllAsync(default));
            await other.DisposeAsync();
        }
        finally
        {
            Signals.Send(pid, 9); // no guardian here that would
        }
    }

    [Fact(Timeout = 240_000)]
    public async Task AddWithoutStart_HoldReloadAndNotes_AreShown()
    {
        await _supervisor.AddAsync(Shell("held", "[ -e broken ] && exit 3; exec sleep 600"), start: false, default);
        One("held").State.ShouldBe(ProcessState.Pending);
        await _supervisor.HoldAsync("held", ProcessState.Skipped, "'db' failed", default);
        (One("held").State, One("held").Reason).ShouldBe((ProcessState.Skipped, "'db' failed"));
        _supervisor.Usage("held").ShouldBeNull();

        await _supervisor.StartAsync("held", default);
        await Deadline.Until(() => One("held").State == ProcessState.Ready, "ready");
        var usage = _supervisor.Usage("held")!.Value;
        usage.Processes.ShouldBe(1);
        usage.ResidentBytes.ShouldBeGreaterThan(100_000);
        await Should.ThrowAsync<InvalidOperationException>(() => _supervisor.HoldAsync("held", ProcessState.Blocked, "x", default));

        await File.WriteAllTextAsync(_folder["broken"], "");
        await _supervisor.ReloadAsync("held", "main.py changed", default);
        await Deadline.Until(() => One("held").State == ProcessState.Blocked, "blocked by the broken change");
        _supervisor.Note("held", "reload failed: exit 3");
        await Deadline.Until(() => One("held").Note == "reload failed: exit 3", "noted");
        (One("held").Spawns, One("held").Restarts).ShouldBe((2, 0));

        File.Delete(_folder["broken"]);
        await _supervisor.ReloadAsync("held", "main.py changed", default);
        await Deadline.Until(() => One("held").State == ProcessState.Ready, "ready again");
    }

    [Fact(Timeout = 240_000)]
    public async Task Output_WithColours_KeepsThemForFollowersOnly_AndStreamsHaveTheirFiles()
    {
        var followed = new List<LogLine>();
        using var following = _supervisor.FollowOutput(followed.Add);
        var plan = Shell("colours", "printf '\\033[32mgreen\\033[0m\\n'; printf '\\033[31mred\\033[0m\\n' >&2");
        await _supervisor.AddAsync(
            plan with
            {
                Restart = RestartPolicy.Never,
                ErrorLogPath = _folder["colours.err"],
                Log = new LogOptions { Format = LineFormat.Json, Timestamps = false },
            },
            default);
        await _supervisor.WaitAsync("colours", default);
        followed.Select(l => l.Text).ShouldBe(["\e[32mgreen\e[0m", "\e[31mred\e[0m"], ignoreOrder: true);
        (await File.ReadAllTextAsync(_folder["colours.log"])).ShouldBe("""{"name":"colours","stream":"stdout","text":"green"}""" + "\n");
        (await File.ReadAllTextAsync(_folder["colours.err"])).ShouldBe("""{"name":"colours","stream":"stderr","text":"red"}""" + "\n");
    }

    private ProcessSnapshot One(string name) => _supervisor.Processes.Single(p => p.Name == name);

    private ProcessPlan Shell(string name, string script) => new()
    {
        Name = name,
        Kind = ProcessKind.Agent,
        Command = ["sh", "-c", script],
        WorkingDirectory = _folder.Path,
        Environment = ImmutableDictionary<string, string>.Empty.Add("PATH", Environment.GetEnvironmentVariable("PATH")!),
        LogPath = _folder[$"{name}.log"],
    };

    private sealed class BreakableChance : Random
    {
        internal volatile bool Broken;

        public override double NextDouble() => Broken ? throw new InvalidOperationException("broken on purpose") : base.NextDouble();
    }
}
