using System.Text.Json;
using Loom.Cli.Status;
using Loom.Processes;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Cli;

public sealed class StatusTests
{
    private static readonly DateTimeOffset s_now = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void RunView_Answer_IsReadWhole()
    {
        var run = Parse("""
            {"schema":1,"run_id":"01J","generation":3,"mode":"full","started_at":"2026-01-31T11:00:00Z","loom_version":"0.1.0","supervisor":{"pid":7,"start_ticks":70},
             "guardian":{"pid":8,"start_ticks":80},"addresses":{"api":"http://127.0.0.1:8080"},"ready":true,"config_sha256":"ab",
             "pools":[{"pool":"default","replica":"r0","state":"ready","engine":"mock","model":"demo","mock":true,"last_error":null}],
             "processes":[{"name":"a","kind":"agent","replica":0,"state":"backoff","pid":null,"start_ticks":null,"spawn":3,"restarts":2,"grace_ms":1000,
              "last_exit":{"code":1,"signal":null,"at":"2026-01-31T11:59:58Z"},"reason":"exit 1 after 0.1 s","note":"reload failed","next_start":"2026-01-31T12:00:04Z",
              "log":"/p/a.log","err":"/p/a.err","since":"2026-01-31T11:59:58Z"}]}
            """);
        run.Generation.ShouldBe(3);
        run.Supervisor.ShouldBe(new ProcessIdentity(7, 70));
        run.Guardian.ShouldBe(new ProcessIdentity(8, 80));
        run.Addresses.ShouldBe([("api", "http://127.0.0.1:8080")]);
        run.Pools.ShouldHaveSingleItem().Name.ShouldBe("default/r0");
        var process = run.Processes.ShouldHaveSingleItem();
        process.Restarts.ShouldBe(2);
        process.LastExit!.ToString().ShouldBe("exited with 1");
        process.NextStart.ShouldBe(s_now.AddSeconds(4));
    }

    [Fact]
    public void RunView_Processes_ComeByKindAndNameWithReplicasInTheirOrder()
    {
        string[] names = ["w-10", "w-2", "b", "w-1", "a"];
        var processes = string.Join(',', names.Select(n => $$"""{"name":"{{n}}","kind":"agent","state":"ready"}""").Prepend("""{"name":"a-engine","kind":"engine","state":"ready"}"""));
        Parse($$"""{"schema":1,"processes":[{{processes}}]}""").Processes.Select(p => p.Name).ShouldBe(["a", "b", "w-1", "w-2", "w-10", "a-engine"]);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"schema":2}""")]
    [InlineData("[]")]
    public void RunView_OtherSchema_IsRefused(string json) => Should.Throw<InvalidDataException>(() => Parse(json));

    [Fact]
    public void Note_Backoff_TellsReasonRetryAndRemark()
    {
        var process = Process("a", "backoff") with
        {
            Reason = "exit 1 after 0.1 s; restart 3 in 4.0 s",
            NextStart = s_now.AddSeconds(4),
            LastExit = new ExitView(1, null, s_now),
            Note = "reload failed: line 3",
        };
        StatusTable.Note(process, s_now).ShouldBe("exit 1 after 0.1 s; restart 3 in 4.0 s; next start in 4s; reload failed: line 3");
    }

    [Fact]
    public void Note_ReadyAfterACrash_TellsTheLastEndInWords() =>
        StatusTable.Note(Process("a", "ready") with { Pid = 7, Restarts = 1, LastExit = new ExitView(null, 9, s_now.AddMinutes(-5)) }, s_now).ShouldBe("last killed by SIGKILL 5m0s ago");

    [Fact]
    public void Note_ExitOneInReasonOfElevenIsAnotherExit() =>
        StatusTable.Note(Process("a", "failed") with { Reason = "exit 11 after 1 s", LastExit = new ExitView(1, null, null) }, s_now).ShouldBe("exit 11 after 1 s; last exited with 1");

    [Fact]
    public void Note_SeveralLines_StayOneRow() => StatusTable.Note(Process("a", "ready") with { Note = "one\ntwo" }, s_now).ShouldBe("one | two");

    [Fact]
    public void Rows_All_NameColumnsInOrder()
    {
        var rows = StatusTable.Rows(View([Process("a", "ready") with { Pid = 9, StartTicks = 500, CpuMs = 500, MemoryBytes = 3 << 20, Restarts = 1 }]));
        rows[0].ShouldBe(["NAME", "KIND", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "NOTE"]);
        rows[1][..5].ShouldBe(["loom", "runtime", "ready", "1", "10s"]);
        rows[2].ShouldBe(["a", "agent", "ready", "9", "5s", "1", "10%", "3 MiB", ""]);
    }

    [Fact]
    public void Cpu_SecondLook_IsThatOfTheTimeBetween()
    {
        var before = View([Process("a", "ready") with { Pid = 9, StartTicks = 0, CpuMs = 9000 }]);
        var after = View([Process("a", "ready") with { Pid = 9, StartTicks = 0, CpuMs = 9250 }]) with { Uptime = new Uptime(TimeSpan.FromSeconds(11)), Before = before };
        after.CpuPercentOf(after.Processes[0]).ShouldBe(25);
    }

    [Fact]
    public void Cpu_AnotherIncarnation_IsThatOfItsLife()
    {
        var before = View([Process("a", "ready") with { Pid = 9, StartTicks = 0, CpuMs = 9000 }]);
        var after = View([Process("a", "ready") with { Pid = 10, StartTicks = 1000, CpuMs = 100 }]) with { Uptime = new Uptime(TimeSpan.FromSeconds(11)), Before = before };
        after.CpuPercentOf(after.Processes[0]).ShouldBe(10);
    }

    [Theory]
    [InlineData("ready", true)]
    [InlineData("completed", true)]
    [InlineData("stopped", true)]
    [InlineData("running", false)]
    [InlineData("starting", false)]
    [InlineData("pending", false)]
    [InlineData("unhealthy", false)]
    [InlineData("backoff", false)]
    [InlineData("stopping", false)]
    [InlineData("failed", false)]
    [InlineData("skipped", false)]
    [InlineData("blocked", false)]
    public void IsWell_State_IsJudged(string state, bool well) => View([Process("a", state)]).IsWell.ShouldBe(well);

    [Fact]
    public void IsWell_StillStarting_OnlyForNamedOnes()
    {
        var view = View([Process("a", "ready")]);
        (view with { Run = view.Run with { Ready = false } }).IsWell.ShouldBeFalse();
        (view with { Run = view.Run with { Ready = false }, Chosen = true }).IsWell.ShouldBeTrue();
    }

    [Fact]
    public void Of_Names_MeanReplicasPoolsAndNothingElse()
    {
        var run = View([Process("w-1", "ready"), Process("w-2", "ready"), Process("w-x", "ready"), Process("other", "ready")]).Run;
        run = run with { Pools = [new PoolView("chat", "r0", "ready", "mock", "demo", true, null)] };
        Names(run, "w").ShouldBe(["w-1", "w-2"]);
        Names(run, "w-2").ShouldBe(["w-2"]);
        StatusView.Of(run, ["chat"], s_now, default, out var unknown).Pools.Count.ShouldBe(1);
        unknown.ShouldBeNull();
        StatusView.Of(run, ["w", "nobody"], s_now, default, out unknown);
        unknown.ShouldBe("nobody");
    }

    [Fact]
    public void Unknown_NearName_IsNamed()
    {
        var error = UnknownName.Error("reseacher", View([Process("researcher", "ready")]).Run);
        error.Exit.ShouldBe(3);
        error.Fix.ShouldBe("did you mean researcher?");
    }

    [Fact]
    public void Document_Fields_AreThoseOfSchemaOne()
    {
        var view = View([Process("a", "failed") with { LastExit = new ExitView(null, 15, s_now), Reason = "gone" }]);
        using var document = JsonDocument.Parse(StatusDocument.Write(view));
        var root = document.RootElement;
        root.GetProperty("schema").GetInt32().ShouldBe(1);
        root.GetProperty("well").GetBoolean().ShouldBeFalse();
        var process = root.GetProperty("processes")[0];
        process.GetProperty("last_exit").GetProperty("text").GetString().ShouldBe("killed by SIGTERM");
        process.TryGetProperty("pid", out _).ShouldBeFalse();
    }

    private static string[] Names(RunView run, string name) => [.. StatusView.Of(run, [name], s_now, default, out _).Processes.Select(p => p.Name)];

    private static RunView Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return RunView.Parse(document.RootElement);
    }

    private static ProcessView Process(string name, string state) => new() { Name = name, Kind = "agent", State = state };

    private static StatusView View(IReadOnlyList<ProcessView> processes) => new()
    {
        Run = new RunView { RunId = "r", Ready = true, Supervisor = new ProcessIdentity(1, 0), Processes = processes },
        Pools = [],
        Processes = processes,
        Now = s_now,
        Uptime = new Uptime(TimeSpan.FromSeconds(10)),
    };
}
