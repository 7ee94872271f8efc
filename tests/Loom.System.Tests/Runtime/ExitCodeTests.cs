using Loom.Agents.Project;
using Loom.Core.Storage;
using Loom.SystemTests.Binaries;
using Loom.SystemTests.Clients;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The table of exit codes in docs/reference/cli.md: each code once, provoked on purpose. Code 4 and 5 of single verbs are in <see cref="SteerTests"/>.</summary>
public sealed class ExitCodeTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Fact]
    public Task Zero_DownWithNothingRunning() => EndsAsync(0, RunningLoom.NewFolder(""), "down");

    [Fact]
    public async Task Zero_TermOfAReadyUp()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml());
        (await loom.StopAsync()).ShouldBe(0, loom.Err);
    }

    [Fact]
    public Task One_AnAgentOfARunFailed() => EndsAsync(1, AgentProject.NewFolder("", ("hopeless", AgentProject.Hopeless)), "run", "--no-input");

    [Fact]
    public Task Two_WrongWords() => EndsAsync(2, RunningLoom.NewFolder(""), "status", "--nonsense");

    [Fact]
    public Task Two_WrongConfiguration() => EndsAsync(2, RunningLoom.NewFolder("[runtime]\nshutdown_timeout = \"never\"\n"), "up", "--no-input");

    [Fact]
    public Task Three_NothingRuns() => EndsAsync(3, RunningLoom.NewFolder(""), "status");

    [Fact]
    public Task Four_AnAgentIsHopeless() =>
        EndsAsync(4, AgentProject.NewFolder("", ("hopeless", AgentProject.Hopeless)), "up", "--wait", "--no-input");

    [Fact]
    public Task Five_NotReadyInTime() => EndsAsync(
        5,
        AgentProject.NewFolder("[agents.steady]\nready = { log = \"never said\", within = \"60s\" }\n", ("steady", AgentProject.Steady)),
        "up", "--wait", "--wait-timeout", "2s", "--no-input");

    [Fact]
    public async Task Six_NoChecksum()
    {
        await using var release = await ReleaseServer.StartAsync();
        release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}"] = ReleaseServer.Script("1");
        (await RunningLoom.RunAsync(release.Project, ["binaries", "fetch", "tool@1.0"], release.Environment)).Exit.ShouldBe(6);
    }

    [Fact]
    public async Task Seven_LockOfSomebodyWhoDoesNotAnswer()
    {
        var folder = RunningLoom.NewFolder(MockProject.Toml());
        var run = RunDirectory.Prepare(folder);
        using (FileLock.TryAcquire(run.Lock))
        {
            (await RunningLoom.RunAsync(folder, ["up", "--no-input"])).Exit.ShouldBe(7);
            (await RunningLoom.RunAsync(folder, ["down", "--timeout", "0"])).Exit.ShouldBe(7);
        }

        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Eight_NobodyThereToDownloadFrom()
    {
        await using var release = await ReleaseServer.StartAsync();
        var (exit, _, err) = await RunningLoom.RunAsync(release.Project, ["binaries", "fetch", "tool@2.0"], [.. release.Environment, ("LOOM_RUNTIME__DOWNLOAD_BASE", "http://127.0.0.1:9/x")]);
        exit.ShouldBe(8, err);
    }

    [Fact]
    public async Task Interrupted_CtrlCOfAReadyUp()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml());
        (await loom.StopAsync(Signals.Int)).ShouldBe(130, loom.Err);
    }

    [Fact]
    public async Task Terminated_TermBeforeUpWasReady()
    {
        var loom = RunningLoom.Launch(RunningLoom.NewFolder(MockProject.Toml("--load-ms", "100000")));
        await using (loom)
        {
            var state = RunDirectory.Of(loom.Folder).State;
            await Deadline.Until(() => File.Exists(state) && File.ReadAllText(state).Contains("\"starting\"", StringComparison.Ordinal), "the pool starts", s_limit);
            (await loom.StopAsync()).ShouldBe(143, loom.Err);
        }
    }

    [Theory]
    [InlineData("exit 42", 42)]
    [InlineData("kill -9 $$", 137)]
    public async Task Other_TheScriptsOwnEnd(string script, int code)
    {
        var folder = RunningLoom.NewFolder("");
        await File.WriteAllTextAsync(Path.Combine(folder, "work.sh"), script + "\n", TestContext.Current.CancellationToken);
        await EndsAsync(code, folder, "run", "work.sh", "--no-input");
    }

    [Theory]
    [InlineData(3, "NOT_RUNNING", "status")]
    [InlineData(3, "NOT_RUNNING", "stop", "anything")]
    [InlineData(3, "NOT_RUNNING", "wait", "anything")]
    [InlineData(3, "NOT_RUNNING", "attach")]
    [InlineData(3, "UNKNOWN_NAME", "logs", "anything")]
    [InlineData(2, "USAGE", "start")]
    [InlineData(2, "EXISTS", "init")]
    [InlineData(2, "BAD_NAME", "new", "agent", "Nobody")]
    public async Task Json_Failure_IsOneLineOnStderrAndNothingOnStdout(int code, string name, params string[] arguments)
    {
        var folder = RunningLoom.NewFolder("");
        var (exit, output, err) = await RunningLoom.RunAsync(folder, [.. arguments, "--json"]);
        exit.ShouldBe(code, err);
        output.ShouldBeEmpty();
        var line = err.TrimEnd('\n');
        line.ShouldNotContain("\n");
        using var document = System.Text.Json.JsonDocument.Parse(line);
        var error = document.RootElement.GetProperty("error");
        error.GetProperty("code").GetString().ShouldBe(name);
        error.GetProperty("exit").GetInt32().ShouldBe(code);
        error.GetProperty("message").GetString().ShouldNotBeNullOrEmpty();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Json_WrongConfiguration_NamesThePlace()
    {
        var folder = RunningLoom.NewFolder("name = \"x\"\n[runtime]\nshutdown_timeout = \"never\"\n");
        var (exit, output, err) = await RunningLoom.RunAsync(folder, ["up", "--json", "--no-input"]);
        exit.ShouldBe(2, err);
        output.ShouldBeEmpty();
        using var document = System.Text.Json.JsonDocument.Parse(err.TrimEnd('\n'));
        var error = document.RootElement.GetProperty("error");
        error.GetProperty("code").GetString()!.ShouldStartWith("CFG");
        error.GetProperty("key").GetString().ShouldBe("runtime.shutdown_timeout");
        error.GetProperty("file").GetString().ShouldBe("loom.toml");
        error.GetProperty("line").GetInt32().ShouldBe(3);
        error.GetProperty("column").GetInt32().ShouldBe(20);
        error.GetProperty("exit").GetInt32().ShouldBe(2);
        Directory.Delete(folder, recursive: true);
    }

    private static async Task EndsAsync(int code, string folder, params string[] arguments)
    {
        var (exit, output, err) = await RunningLoom.RunAsync(folder, arguments);
        exit.ShouldBe(code, output + err);
        Directory.Delete(folder, recursive: true);
    }
}
