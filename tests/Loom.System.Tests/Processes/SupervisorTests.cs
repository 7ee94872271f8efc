using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
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

    [Fact(Timeout = 30_000)]
    public async Task Add_PlainChild_RunsBecomesReadyStopsAndLeavesNothing()
    {
        await _supervisor.AddAsync(Shell("plain", "echo hello; echo oops >&2; exec sleep 600"), default);
        One("plain").State.ShouldBe(ProcessState.Running);
        var pid = One("plain").Pid!.Value;
        await Deadline.Until(() => One("plain").State == ProcessState.Ready, "ready after a second");

        await _supervisor.StopAsync("plain", default);

        One("plain").State.ShouldBe(ProcessState.Stopped);
        One("plain").LastExit!.Signal.ShouldBe(15);
        Directory.Exists($"/proc/{pid}").ShouldBeFalse();
        _supervisor.Tail("plain", 10).ShouldBe(["hello", "oops"], ignoreOrder: true);
        (await File.ReadAllLinesAsync(_folder["plain.log"])).Length.ShouldBe(2);
    }

    [Fact(Timeout = 30_000)]
    public async Task Add_CommandThatDoesNotExist_FailsAtOnceAndSaysWhere()
    {
        await _supervisor.AddAsync(Shell("none", "") with { Command = ["no-such-program-here"] }, default);
        One("none").State.ShouldBe(ProcessState.Failed);
        One("none").Reason!.ShouldContain("command 'no-such-program-here' not found in PATH");
    }

    [Fact(Timeout = 30_000)]
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

    [Fact(Timeout = 30_000)]
    public async Task Ready_HttpProbe_TurnsReadyWhenThePortAnswers()
    {
        var port = FreePort();
        var plan = Shell("web", "") with
        {
            Command = ["python3", "-m", "http.server", port.ToString(), "--bind", "127.0.0.1"],
            Ready = new ProbePlan { Check = new ProbeCheck.Http(new Uri($"http://127.0.0.1:{port}/")), Every = TimeSpan.FromMilliseconds(50) },
            Live = new ProbePlan { Check = new ProbeCheck.Tcp("127.0.0.1", port), Every = TimeSpan.FromMilliseconds(100) },
        };
        await _supervisor.AddAsync(plan, default);
        await Deadline.Until(() => One("web").State == ProcessState.Ready, "ready by http");

        await _supervisor.AddAsync(plan with { Name = "second", LogPath = _folder["second.log"], Restart = RestartPolicy.Never }, default);
        var end = await _supervisor.WaitAsync("second", default);
        end.State.ShouldBe(ProcessState.Failed);
        end.Reason!.ShouldContain($"port {port}");
        end.Reason!.ShouldContain($"pid {One("web").Pid} (python3");
    }

    [Fact(Timeout = 30_000)]
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

    [Fact(Timeout = 30_000)]
    public async Task Stop_ChildThatIgnoresTerm_IsGoneAtGraceAndAHalfSecond()
    {
        await _supervisor.AddAsync(
            Shell("stubborn", "trap '' TERM; echo up; while :; do sleep 0.2; done") with { Grace = TimeSpan.FromMilliseconds(300) }, default);
        await Deadline.Until(() => !_supervisor.Tail("stubborn", 1).IsEmpty, "its trap is set");
        var start = TimeProvider.System.GetTimestamp();
        await _supervisor.StopAsync("stubborn", default);
        TimeProvider.System.GetElapsedTime(start).ShouldBeInRange(TimeSpan.FromSeconds(0.3), TimeSpan.FromSeconds(0.8));
        One("stubborn").LastExit!.Signal.ShouldBe(9);
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

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
