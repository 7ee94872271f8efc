using System.Text.Json;
using Loom.SystemTests.Clients;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>Rare hours in the life of <c>up</c>: interrupted starts, closed terminals, pools that never come, detached twins.</summary>
public sealed class UpLifeTests
{
    [Fact]
    public async Task Starting_StatusIsNotWellAndDownEndsIt()
    {
        var loom = RunningLoom.Launch(RunningLoom.NewFolder(MockProject.Toml("--load-ms", "100000")));
        await using (loom)
        {
            var state = Path.Combine(loom.Folder, ".loom", "run", "state.json");
            await Deadline.Until(() => File.Exists(state) && File.ReadAllText(state).Contains("\"starting\"", StringComparison.Ordinal), "the pool starts", RunningLoom.Deadline);
            var (status, document, _) = await RunningLoom.RunAsync(loom.Folder, ["status", "--json"]);
            status.ShouldBe(4);
            using var shown = JsonDocument.Parse(document);
            shown.RootElement.GetProperty("pools")[0].GetProperty("state").GetString().ShouldBe("starting");
            shown.RootElement.GetProperty("config_sha256").GetString()!.Length.ShouldBe(64);
            (await RunningLoom.RunAsync(loom.Folder, ["down"])).Exit.ShouldBe(0);
            await Deadline.Until(() => !Directory.Exists($"/proc/{loom.Pid}"), "up ends");
            (await loom.StopAsync()).ShouldBe(0, loom.Err);
            loom.Err.ShouldNotContain("Unhandled");
            File.Exists(Path.Combine(loom.Folder, ".loom", "run", "config.json")).ShouldBeFalse();
        }
    }

    [Fact]
    public async Task Status_PoolThatNeverGotAProcess_IsShown()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml() + """
            [serving.engines.none]
            kind = "llama-server"
            [serving.pools.broken]
            engine = "none"
            models = ["file:missing.gguf"]

            """);
        var (exit, text, _) = await RunningLoom.RunAsync(loom.Folder, ["status"]);
        exit.ShouldBe(4);
        text.Split('\n').ShouldContain(l => l.StartsWith("broken/r0", StringComparison.Ordinal) && l.Contains("failed"));
        text.Split('\n').ShouldContain(l => l.StartsWith("default/r0", StringComparison.Ordinal) && l.Contains("ready"));
    }

    [Fact]
    public async Task Killed_Report_IsToldByDownAndKept()
    {
        var folder = RunningLoom.NewFolder(MockProject.Toml());
        var loom = RunningLoom.Launch(folder);
        await loom.WaitReadyAsync();
        await loom.KillAsync();
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["down"]);
        exit.ShouldBe(0, err);
        err.ShouldContain(loom.RunId);
        (await File.ReadAllTextAsync(Path.Combine(folder, ".loom", "logs", "guardian.report"), TestContext.Current.CancellationToken)).ShouldContain(loom.RunId);
        var (config, _, why) = await RunningLoom.RunAsync(folder, ["config", "show", "--running"]);
        config.ShouldNotBe(0, why);
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Detach_ByItsVariable_WorksAndASecondOneFindsTheFirst()
    {
        var folder = RunningLoom.NewFolder(MockProject.Toml("--load-ms", "500"));
        Directory.CreateDirectory(Path.Combine(folder, ".loom", "run"));
        await File.WriteAllTextAsync(Path.Combine(folder, ".loom", "run", "state.json"), "{ damaged", TestContext.Current.CancellationToken);
        var first = RunningLoom.RunAsync(folder, ["up", "--json"], [("LOOM_DETACH", "1")]);
        var twin = RunningLoom.RunAsync(folder, ["up", "-d", "--json"]);
        var (exit, ready, err) = await first;
        exit.ShouldBe(0, err);
        var (secondExit, second, secondErr) = await twin;
        secondExit.ShouldBe(0, secondErr);
        var (thirdExit, third, _) = await RunningLoom.RunAsync(folder, ["up", "--json", "--no-input"]);
        thirdExit.ShouldBe(0);
        var id = JsonDocument.Parse(ready).RootElement.GetProperty("run_id").GetString();
        foreach (var answer in new[] { second, third })
        {
            var document = JsonDocument.Parse(answer).RootElement;
            document.GetProperty("run_id").GetString().ShouldBe(id);
            document.GetProperty("addresses").GetProperty("api").GetString().ShouldStartWith("http://");
            document.GetProperty("pools")[0].GetProperty("state").GetString().ShouldBe("ready");
        }

        var output = Directory.GetFiles(Path.Combine(folder, ".loom", "logs"), "up*.out").ShouldHaveSingleItem();
        File.GetUnixFileMode(output).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        (await File.ReadAllTextAsync(output, TestContext.Current.CancellationToken)).ShouldContain(id!);
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Detach_UnknownOptionOfTheChild_IsNotLost()
    {
        var folder = RunningLoom.NewFolder(MockProject.Toml());
        var (exit, _, err) = await RunningLoom.RunAsync(folder, ["up", "-d", "--set", "no.such.key=1"]);
        exit.ShouldBe(2);
        err.ShouldContain("no.such.key");
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Term_OfAVerbThatWaits_Exits143()
    {
        var folder = RunningLoom.NewFolder(MockProject.Toml("--load-ms", "100000"));
        await using (var up = Child.Start(folder, [RunningLoom.Program, "up", "-d"], ("ORCHESTRATORD_BIND_ADDR", "127.0.0.1:0"), ("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"), ("PROMETHEUS_METRICS_PORT", "0")))
        {
            await Deadline.Until(() => up.Output.Contains("starting in the background", StringComparison.Ordinal), "up waits", RunningLoom.Deadline);
            up.Signal(Signals.Term);
            (await up.Exited.WaitAsync(RunningLoom.Deadline)).Code.ShouldBe(143, up.Output);
        }

        await Deadline.Until(() => File.Exists(Path.Combine(folder, ".loom", "run", "state.json")), "it goes on in the background", RunningLoom.Deadline);
        (await RunningLoom.RunAsync(folder, ["down"])).Exit.ShouldBe(0);
        TempFolder.Delete(folder);
    }

    [Fact]
    public async Task Terminal_Closed_StopsInOrder()
    {
        const string Close = """
            import os, pty, sys
            pid, terminal = pty.fork()
            if pid == 0:
                os.execv(sys.argv[1], [sys.argv[1], "up"])
            seen = b""
            while b"mock engines answer" not in seen:
                seen += os.read(terminal, 4096)
            os.close(terminal)
            print("exit", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            """;
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["loom.toml"], MockProject.Toml(), TestContext.Current.CancellationToken);
        await using var python = Child.Start(
            folder.Path, ["python3", "-c", Close, RunningLoom.Program], ("ORCHESTRATORD_BIND_ADDR", "127.0.0.1:0"), ("POOL_MANAGERD_BIND_ADDR", "127.0.0.1:0"), ("PROMETHEUS_METRICS_PORT", "0"));
        await python.Exited.WaitAsync(RunningLoom.Deadline);
        python.Output.ShouldContain("exit 0");
        File.Exists(folder[".loom/run/state.json"]).ShouldBeFalse();
    }
}
