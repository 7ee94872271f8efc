using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary><c>loom run</c>, a waiting <c>up</c> and a second <c>up</c>, as their users see them.</summary>
public sealed class RunTests : IDisposable
{
    private readonly string _folder = RunningLoom.NewFolder("");

    public void Dispose() => TempFolder.Delete(_folder);

    [Fact]
    public async Task RunScript_PassesStreamsArgumentsAndExitCode()
    {
        Write("ask.sh", "read word; echo \"$word $1 $LOOM_AGENT_ID\"; echo oops >&2; exit 7");
        var (exit, output, error) = await RunningLoom.RunAsync(_folder, ["run", "ask.sh", "--", "there"], input: "hello\n");
        exit.ShouldBe(7, error);
        output.ShouldBe("hello there ask\n");
        error.ShouldContain("oops");
        NothingLeft();
    }

    [Fact]
    public async Task RunScript_WithoutAProjectFile_Works()
    {
        File.Delete(Path.Combine(_folder, "loom.toml"));
        Write("ok.sh", "echo fine");
        var (exit, output, error) = await RunningLoom.RunAsync(_folder, ["run", "ok.sh"]);
        exit.ShouldBe(0, error);
        output.ShouldBe("fine\n");
    }

    [Fact]
    public async Task RunScript_KilledBySignal_Is128PlusIt()
    {
        Write("die.sh", "kill -KILL $$");
        (await RunningLoom.RunAsync(_folder, ["run", "die.sh"])).Exit.ShouldBe(137);
    }

    [Fact]
    public async Task Run_WithMain_EndsWithItAndStopsTheOthers()
    {
        Write("agents/beside.sh", "exec sleep 1000");
        Write("main.py", "import time\ntime.sleep(0.5)\nprint('main is done', flush=True)\nraise SystemExit(3)");
        var (exit, output, error) = await RunningLoom.RunAsync(_folder, ["run"]);
        exit.ShouldBe(3, error);
        output.ShouldContain("main is done");
        NothingLeft();
    }

    [Fact]
    public async Task Run_WithoutMain_IsGoodWhenEveryAgentSucceeds()
    {
        Write("agents/one.sh", "exit 0");
        Write("agents/two.sh", "exit 0");
        (await RunningLoom.RunAsync(_folder, ["run"])).Exit.ShouldBe(0);
        Write("loom.toml", "[agents.two]\nrestart = \"never\"\n");
        Write("agents/two.sh", "exit 9");
        (await RunningLoom.RunAsync(_folder, ["run"])).Exit.ShouldBe(1);
        NothingLeft();
    }

    [Fact]
    public async Task RunScript_WhileUp_UsesThatRuntimeAndLeavesIt()
    {
        Write("agents/beside.sh", "exec sleep 1000");
        Write("ok.sh", "exit 5");
        await using var loom = RunningLoom.Launch(_folder);
        await loom.WaitReadyAsync();
        (await RunningLoom.RunAsync(_folder, ["run", "ok.sh"])).Exit.ShouldBe(5);
        (await RunningLoom.RunAsync(_folder, ["wait", "beside"])).Exit.ShouldBe(0);
        (await loom.StopAsync()).ShouldBe(0, loom.Err);
    }

    [Fact]
    public async Task UpWait_AgentFails_Ends4AndShowsItsWords()
    {
        Write("loom.toml", "[agents.bad]\ncommand = [\"sh\", \"-c\", \"echo cannot work; exit 1\"]\nrestart = \"never\"\n");
        var (exit, _, error) = await RunningLoom.RunAsync(_folder, ["up", "--wait"]);
        exit.ShouldBe(4, error);
        error.ShouldContain("cannot work");
        NothingLeft();
    }

    [Fact]
    public async Task UpWait_AgentNeverReady_Ends5()
    {
        Write("loom.toml", "[agents.late]\ncommand = [\"sleep\", \"1000\"]\nready = { log = \"never said\" }\n");
        var (exit, _, error) = await RunningLoom.RunAsync(_folder, ["up", "--wait", "--wait-timeout", "5s"]);
        exit.ShouldBe(5, error);
        error.ShouldContain("late (running");
        NothingLeft();
    }

    [Fact]
    public async Task SecondUp_StartsWhatIsStopped_TellsDrift_AppliesOnRequest()
    {
        Write("loom.toml", "[agents.one]\ncommand = [\"sleep\", \"1000\"]\n");
        await using var loom = RunningLoom.Launch(_folder);
        await loom.WaitReadyAsync();
        (await RunningLoom.RunAsync(_folder, ["stop", "one"])).Exit.ShouldBe(0);
        Write("loom.toml", "[agents.one]\ncommand = [\"sleep\", \"1000\"]\n[agents.two]\ncommand = [\"sleep\", \"1001\"]\n");
        var (exit, _, error) = await RunningLoom.RunAsync(_folder, ["up"]);
        exit.ShouldBe(0, error);
        error.ShouldContain("two: added");
        error.ShouldContain("loom up --apply");
        await RunsAsync("one");
        (exit, _, error) = await RunningLoom.RunAsync(_folder, ["up", "--apply"]);
        exit.ShouldBe(0, error);
        await RunsAsync("two");
        Write("loom.toml", "[agents.one]\ncommand = [\"sleep\"\n");
        (exit, _, error) = await RunningLoom.RunAsync(_folder, ["up", "--apply"]);
        exit.ShouldBe(2, error);
        await RunsAsync("two");
        (await RunningLoom.RunAsync(_folder, ["down"])).Exit.ShouldBe(0);
        (await loom.StopAsync()).ShouldBe(0, loom.Err);
        loom.Survivors().ShouldBeEmpty();
    }

    [Fact]
    public async Task Up_UnknownAgent_Exits3AndNamesIt()
    {
        Write("loom.toml", "[agents.writer]\ncommand = [\"sleep\", \"1000\"]\n");
        var (exit, _, error) = await RunningLoom.RunAsync(_folder, ["up", "wirter"]);
        exit.ShouldBe(3, error);
        error.ShouldContain("wirter");
        NothingLeft();
    }

    private void Write(string name, string text)
    {
        var path = Path.Combine(_folder, name);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text + "\n");
    }

    // The file follows a moment after the answer.
    private Task RunsAsync(string name) => Deadline.Until(() => StateOf(name) is "starting" or "running" or "ready", $"{name} runs");

    private string? StateOf(string name)
    {
        var processes = JsonDocument.Parse(File.ReadAllText(Path.Combine(_folder, ".loom", "run", "state.json"))).RootElement.GetProperty("processes").EnumerateArray();
        var found = processes.FirstOrDefault(p => p.GetProperty("name").GetString() == name);
        return found.ValueKind == JsonValueKind.Object ? found.GetProperty("state").GetString() : null;
    }

    private void NothingLeft() => File.Exists(Path.Combine(_folder, ".loom", "run", "state.json")).ShouldBeFalse();
}
