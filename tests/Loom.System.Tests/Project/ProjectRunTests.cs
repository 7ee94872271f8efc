using System.Collections.Immutable;
using Loom.Agents.Project;
using Loom.Core.Storage;
using Loom.Processes;
using Loom.Processes.Guarding;
using Loom.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Project;

public sealed class ProjectRunTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact(Timeout = 240_000)]
    public async Task Start_Files_AreOnlyOursAndGoneAfterwards()
    {
        var directory = RunDirectory.Of(_folder.Path);
        await using (var run = await StartAsync())
        {
            File.GetUnixFileMode(directory.Path).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            foreach (var file in new[] { directory.State, directory.Token, directory.Socket, directory.Lock })
            {
                File.GetUnixFileMode(file).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite, file);
            }

            directory.ReadToken().ShouldBe(run!.Token);
            run.Token.Length.ShouldBe(64);
            RunState.Read(directory.State)!.RunId.ShouldBe(run.RunId);
        }

        Directory.GetFiles(directory.Path).Select(Path.GetFileName).ShouldBe(["guardian.lock", "lock"], ignoreOrder: true);
    }

    [Fact(Timeout = 240_000)]
    public async Task Start_EightAtOnce_OneRunsTheOthersAreToldSo()
    {
        var runs = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(StartAsync)));
        runs.Count(r => r is not null).ShouldBe(1);
        (await ProjectRun.FindLiveAsync(_folder.Path, TimeProvider.System, TimeSpan.FromSeconds(60), default))!.RunId.ShouldBe(runs.Single(r => r is not null)!.RunId);
        await runs.Single(r => r is not null)!.DisposeAsync();
        var next = await StartAsync();
        next.ShouldNotBeNull();
        await next.DisposeAsync();
        (await ProjectRun.FindLiveAsync(_folder.Path, TimeProvider.System, TimeSpan.Zero, default)).ShouldBeNull();
    }

    [Fact(Timeout = 240_000)]
    public async Task Socket_StatusStopStartFollow_ActOnTheRunningProject()
    {
        await using var run = await StartAsync();
        run!.SetAddress("api", "127.0.0.1:8080");
        await run.Supervisor.AddAsync(Plan("a", "while :; do echo tick; sleep 0.05; done"), default);
        var client = new ControlClient(run.Directory.Socket);

        var status = (await client.AskAsync(new ControlRequest("status"), default))!;
        status.State!.Addresses["api"].ShouldBe("127.0.0.1:8080");
        status.State.Processes.Single().Pid.ShouldBe(run.Supervisor.Processes[0].Pid);

        await foreach (var line in client.FollowAsync("a", earlier: 5, default))
        {
            line.Name.ShouldBe("a");
            line.Text.ShouldBe("tick");
            break;
        }

        (await client.AskAsync(new ControlRequest("stop") { Names = ["a"] }, default))!.State!.Processes.Single().State.ShouldBe("stopped");
        (await client.AskAsync(new ControlRequest("start") { Names = ["a"] }, default))!.State!.Processes.Single().State.ShouldBeOneOf("running", "ready"); // ready a second later
        var unknown = (await client.AskAsync(new ControlRequest("stop") { Names = ["b"] }, default))!;
        unknown.Refusal.ShouldBe(ControlRefusal.UnknownName);
        unknown.Nearest.ShouldBe("a");
        unknown.Error!.ShouldContain("there is no agent 'b'; did you mean 'a'? there are: a");
        (await client.AskAsync(new ControlRequest("fly"), default))!.Error!.ShouldContain("unknown request 'fly'");

        run.DownRequested.IsCancellationRequested.ShouldBeFalse();
        await client.AskAsync(new ControlRequest("down"), default);
        await Deadline.Until(() => run.DownRequested.IsCancellationRequested, "down is passed on");
    }

    [Fact(Timeout = 240_000)]
    public async Task StateFile_FollowsSpawnAndExit_AndHoldsNoEnvironment()
    {
        await using var run = await StartAsync();
        var plan = Plan("a", "sleep 0.1; exit 3") with
        {
            Restart = RestartPolicy.Never,
            Environment = Plan("a", "").Environment.Add("SECRET", "planted-secret-value"),
        };
        await run!.Supervisor.AddAsync(plan, default);
        await Deadline.Until(() => RunState.Read(run.Directory.State)!.Processes is [{ LastExit.Code: 3, State: "failed" }], "the exit is on disk");
        (await File.ReadAllTextAsync(run.Directory.State)).ShouldNotContain("planted-secret-value");
    }

    [Fact(Timeout = 240_000)]
    public async Task Socket_PathTooLong_MovesAndStillAnswers()
    {
        var deep = _folder[new string('d', 100)];
        Directory.CreateDirectory(deep);
        await using var run = await StartAsync(deep);
        run!.Directory.Socket.Length.ShouldBeLessThan(107);
        run.State.Socket.ShouldBe(run.Directory.Socket);
        (await new ControlClient(RunDirectory.Of(deep).Socket).AskAsync(new ControlRequest("status"), default))!.Ok.ShouldBeTrue();
    }

    [Fact(Timeout = 240_000)]
    public async Task Prepare_RunFolderIsALink_IsRefused()
    {
        Directory.CreateDirectory(_folder[".loom"]);
        Directory.CreateDirectory(_folder["elsewhere"]);
        Directory.CreateSymbolicLink(_folder[".loom/run"], _folder["elsewhere"]);
        (await Should.ThrowAsync<IOException>(StartAsync)).Message.ShouldContain("is a symbolic link");
    }

    [Fact(Timeout = 240_000)]
    public async Task Down_RuntimeThatDoesNotAnswer_IsKilledAndSoAreItsChildren()
    {
        await using var project = new SupervisedProject(200, guarded: true, NastyChildren.Kinds.Take(3));
        await project.UpAsync();
        project.Loom.Signal(19); // stopped: holds the lock, accepts connections, never answers
        var result = await DownAsync(project.Directory);
        result.Survivors.ShouldBeEmpty();
        (await project.Loom.Exited).Signal.ShouldBe(9);
        NastyChildren.Survivors(project.Mark).ShouldBeEmpty();
    }

    [Fact(Timeout = 240_000)]
    public async Task Down_LockHeldByNobodyWeKnow_SaysHowToFindThem()
    {
        var directory = RunDirectory.Prepare(_folder.Path);
        using var held = FileLock.TryAcquire(directory.Lock);
        held.ShouldNotBeNull();
        var down = new Down(directory, TimeProvider.System, NullLogger.Instance);
        (await Should.ThrowAsync<ProjectBusyException>(() => down.RunAsync(TimeSpan.Zero, force: false, default))).Message.ShouldContain("fuser");
    }

    [Fact(Timeout = 240_000)]
    public async Task Guardian_Memory_IsWithinFortyMegabytes()
    {
        await using var project = new SupervisedProject(200, guarded: true, NastyChildren.Kinds.Take(1));
        await project.UpAsync();
        await Deadline.Until(() => FileLock.TryAcquire(project.Directory.GuardianLock) is null && project.State.Guardian is not null, "the guardian has begun its work and is on record");
        var status = await File.ReadAllLinesAsync($"/proc/{project.State.Guardian!.Pid}/status");
        var kilobytes = int.Parse(status.Single(l => l.StartsWith("VmRSS:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]);
        kilobytes.ShouldBeLessThan(40 * 1024);
    }

    [Fact(Timeout = 240_000)]
    public async Task Supervisor_Dies_RunIsBrokenEndsAndItsGuardianCleansUp()
    {
        var logger = new BreakingLogger();
        var options = new ProjectRunOptions
        {
            ProjectFolder = _folder.Path,
            Executable = RunningLoom.Program,
            LoomVersion = "test",
            AdoptStrays = false,
            Logger = logger,
        };
        var run = (await ProjectRun.StartAsync(options, default))!;
        await run.Supervisor.AddAsync(Plan("stays", "exec sleep 600"), default);
        await run.Supervisor.AddAsync(Plan("ends", $"while [ ! -e '{_folder["go"]}' ]; do sleep 0.05; done"), default);
        var stays = ProcessIdentities.Of(run.Supervisor.Processes.Single(p => p.Name == "stays").Pid!.Value)!.Value;
        logger.Broken = true;
        await File.WriteAllTextAsync(_folder["go"], "");
        await Deadline.Until(() => run.Broken.IsCancellationRequested, "the fault shows");
        run.Fault.ShouldNotBeNull();
        await Should.ThrowAsync<ObjectDisposedException>(() => run.Supervisor.StopAsync("stays", default));
        await run.DisposeAsync();
        run.Survivors.ShouldHaveSingleItem();
        await Deadline.Until(() => !Leftovers.IsAlive(stays), "the guardian ends what runs");
        var down = await DownAsync(run.Directory);
        down.Survivors.ShouldBeEmpty();
        File.Exists(run.Directory.State).ShouldBeFalse();
        (await File.ReadAllTextAsync(run.Directory.KeptReport)).ShouldContain(run.RunId);
    }

    private static Task<DownResult> DownAsync(RunDirectory directory) =>
        new Down(directory, TimeProvider.System, NullLogger.Instance).RunAsync(TimeSpan.FromSeconds(15), force: false, default);

    private Task<ProjectRun?> StartAsync() => StartAsync(_folder.Path);

    private static Task<ProjectRun?> StartAsync(string folder) =>
        ProjectRun.StartAsync(new ProjectRunOptions { ProjectFolder = folder, Executable = null, LoomVersion = "test", AdoptStrays = false }, default);

    private sealed class BreakingLogger : ILogger
    {
        public volatile bool Broken;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (Broken)
            {
                throw new IOException("the log's disk is gone");
            }
        }
    }

    private ProcessPlan Plan(string name, string script) => new()
    {
        Name = name,
        Kind = ProcessKind.Agent,
        Command = ["sh", "-c", script],
        WorkingDirectory = _folder.Path,
        Environment = ImmutableDictionary<string, string>.Empty.Add("PATH", Environment.GetEnvironmentVariable("PATH")!),
        LogPath = _folder[$"{name}.log"],
    };
}
