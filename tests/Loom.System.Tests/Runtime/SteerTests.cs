using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>Steering a running project from other commands: start, stop, restart, wait, attach, status and logs of agents.</summary>
public sealed class SteerTests(AgentProject project) : IClassFixture<AgentProject>
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Fact]
    public async Task StopThenStart_Waited_IsANewProcess()
    {
        var before = await ProcessAsync("steady");
        var (exit, _, err) = await project.RunAsync("stop", "steady");
        exit.ShouldBe(0, err);
        err.ShouldContain("steady: stopped");
        (await ProcessAsync("steady")).GetProperty("state").GetString().ShouldBe("stopped");
        var (started, document, _) = await project.RunAsync("start", "steady", "--wait", "--json");
        started.ShouldBe(0);
        JsonDocument.Parse(document).RootElement.GetProperty("processes")[0].GetProperty("state").GetString().ShouldBe("ready");
        var after = await ProcessAsync("steady");
        after.GetProperty("pid").GetInt32().ShouldNotBe(before.GetProperty("pid").GetInt32());
        after.GetProperty("restarts").GetInt32().ShouldBe(0);
    }

    [Fact]
    public async Task Restart_BrokenProjectFile_WorksAllTheSame()
    {
        var before = await ProcessAsync("steady");
        var file = Path.Combine(project.Folder, "loom.toml");
        var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(file, "this is = not [toml", TestContext.Current.CancellationToken);
        try
        {
            var (exit, _, err) = await project.RunAsync("restart", "steady", "--wait", "--wait-timeout", "1m");
            exit.ShouldBe(0, err);
            (await project.RunAsync("logs", "steady", "-n", "1")).Exit.ShouldBe(0);
        }
        finally
        {
            await File.WriteAllTextAsync(file, text, TestContext.Current.CancellationToken);
        }

        (await ProcessAsync("steady")).GetProperty("pid").GetInt32().ShouldNotBe(before.GetProperty("pid").GetInt32());
    }

    [Fact]
    public async Task Status_OneFailed_Exits4AndNamedOnesAreJudgedAlone()
    {
        var (exit, table, _) = await project.RunAsync("status");
        exit.ShouldBe(4);
        var hopeless = table.Split('\n').Single(l => l.StartsWith("hopeless ", StringComparison.Ordinal));
        hopeless.ShouldContain("failed");
        hopeless.ShouldContain("exit 125");
        (await project.RunAsync("ps", "steady", "job")).Exit.ShouldBe(0);
        (await project.RunAsync("status", "default")).Exit.ShouldBe(0);
        (await project.RunAsync("status", "hopeless")).Exit.ShouldBe(4);
        (await project.RunAsync("status", "steddy")).ShouldSatisfyAllConditions(r => r.Exit.ShouldBe(3), r => r.Err.ShouldContain("did you mean steady?"));
        var steady = await ProcessAsync("steady");
        steady.GetProperty("memory_bytes").GetInt64().ShouldBeGreaterThan(0);
        steady.GetProperty("cpu_ms").GetInt64().ShouldBeGreaterThanOrEqualTo(0);
    }

    [Theory]
    [InlineData(0, "job", "--for", "ended")]
    [InlineData(0, "default")]
    [InlineData(4, "hopeless")]
    [InlineData(5, "steady", "--for", "ended", "--timeout", "200ms")]
    [InlineData(3, "nobody")]
    [InlineData(2, "steady", "--timeout", "soon")]
    [InlineData(2, "steady", "--for", "lunch")]
    public async Task Wait_Cases_HaveTheirCodes(int code, params string[] arguments)
    {
        var (exit, _, err) = await project.RunAsync(["wait", .. arguments]);
        exit.ShouldBe(code, err);
    }

    [Fact]
    public async Task Start_Hopeless_WaitedFor_Exits4() => (await project.RunAsync("start", "hopeless", "--wait")).Exit.ShouldBe(4);

    [Theory]
    [InlineData("stop")]
    [InlineData("start", "--all", "steady")]
    public async Task Steer_NobodyOrEverybodyAndNames_IsAUsageError(params string[] arguments) => (await project.RunAsync(arguments)).Exit.ShouldBe(2);

    [Fact]
    public async Task Attach_CtrlC_DetachesWithZero()
    {
        await using var attach = Child.Start(project.Folder, [RunningLoom.Program, "attach", "steady"]);
        await Deadline.Until(() => attach.Output.Contains("steady | beat", StringComparison.Ordinal), "its lines come", s_limit);
        attach.Signal(Signals.Int);
        (await attach.Exited.WaitAsync(s_limit, TestContext.Current.CancellationToken)).Code.ShouldBe(0, attach.Output);
        attach.Output.ShouldNotContain("job |");
        (await project.RunAsync("wait", "steady", "--timeout", "60s")).Exit.ShouldBe(0);
    }

    [Fact]
    public async Task Watch_CtrlC_EndsWithTheLastLooksCode()
    {
        await using var watch = Child.Start(project.Folder, [RunningLoom.Program, "status", "--watch", "job", "--json"]);
        await Deadline.Until(() => watch.Output.Count(c => c == '\n') >= 2, "two looks", s_limit);
        watch.Signal(Signals.Int);
        (await watch.Exited.WaitAsync(s_limit, TestContext.Current.CancellationToken)).Code.ShouldBe(0, watch.Output);
        foreach (var line in watch.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            using var look = JsonDocument.Parse(line);
            look.RootElement.GetProperty("processes")[0].GetProperty("state").GetString().ShouldBe("completed");
        }
    }

    [Fact]
    public async Task Logs_BothStreams_AreMarkedAndChosen()
    {
        await Deadline.Until(() => File.Exists(Path.Combine(project.Folder, ".loom", "logs", "steady.err")), "stderr has its file", s_limit);
        var (exit, text, err) = await project.RunAsync("logs", "steady", "-n", "100000");
        exit.ShouldBe(0, err);
        text.Split('\n').ShouldContain("steady ! oops");
        text.Split('\n').ShouldContain("steady | hello");
        (await project.RunAsync("logs", "steady", "--stderr", "--raw")).Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).ShouldAllBe(l => l == "oops");
        (await project.RunAsync("logs", "steady", "--stdout", "--raw", "--grep", "oops")).Out.ShouldBeEmpty();
        var line = (await project.RunAsync("logs", "steady", "--stderr", "--json", "-n", "1")).Out;
        JsonDocument.Parse(line).RootElement.GetProperty("stream").GetString().ShouldBe("stderr");
    }

    [Fact]
    public async Task Logs_Followed_AreLinesOfJsonUntilCtrlC()
    {
        await using var logs = Child.Start(project.Folder, [RunningLoom.Program, "logs", "-f", "steady", "--json", "-n", "0"]);
        await Deadline.Until(() => logs.Output.Count(c => c == '\n') >= 3, "three lines", s_limit);
        logs.Signal(Signals.Int);
        (await logs.Exited.WaitAsync(s_limit, TestContext.Current.CancellationToken)).Code.ShouldBe(0, logs.Output);
        foreach (var line in logs.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            using var item = JsonDocument.Parse(line);
            item.RootElement.EnumerateObject().Select(p => p.Name).ShouldBe(["time", "name", "stream", "line"]);
        }
    }

    [Theory]
    [InlineData("loom stop st", "steady")]
    [InlineData("loom logs ho", "hopeless")]
    [InlineData("loom status def", "default")]
    [InlineData("loom wait engine", "engine-default-r0")]
    public async Task Completion_Names_AreOffered(string line, string offered) =>
        (await project.RunAsync($"[suggest:{line.Length}]", line)).Out.Split('\n').ShouldContain(offered);

    private async Task<JsonElement> ProcessAsync(string name)
    {
        var (_, document, err) = await project.RunAsync("status", name, "--json");
        document.ShouldNotBeEmpty(err);
        return JsonDocument.Parse(document).RootElement.GetProperty("processes")[0];
    }
}
