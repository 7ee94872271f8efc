using System.Diagnostics;
using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Settings;

/// <summary>The real program over real files: exit codes, streams, and that nothing is written or started.</summary>
public sealed class ConfigProcessTests
{
    private const string Broken = "name = \"p\"\n[serving]\nbind = 8080\n";

    [Fact]
    public async Task Up_FaultsOfFourLayers_AreToldAtOnceAndNothingIsStarted()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["loom.toml"], Broken);
        await File.WriteAllTextAsync(folder[".env"], "ORCHD_ADMISSION_CAPACITY=0\n");
        var (exit, output, error) = await RunAsync(folder, ["up", "--set", "serving.placement.strategy=fastest"], ("ORCHD_QUEUE_TIMEOUT_MS", "soon"));
        exit.ShouldBe(2);
        output.ShouldBeEmpty();
        error.ShouldContain("errors; nothing was started (profile home, mode production)");
        error.ShouldContain("loom.toml:3:8: error CFG020 serving.bind");
        error.ShouldContain(".env:1:1: error CFG022 serving.admission.capacity ORCHD_ADMISSION_CAPACITY=\"0\"");
        error.ShouldContain("environment: error CFG020 serving.queue_timeout_ms ORCHD_QUEUE_TIMEOUT_MS=\"soon\"");
        error.ShouldContain("command-line: error CFG021 serving.placement.strategy --set=\"fastest\"");
        Directory.GetFileSystemEntries(folder.Path).Select(Path.GetFileName).ShouldBe(["loom.toml", ".env"], ignoreOrder: true);
        (await File.ReadAllTextAsync(folder["loom.toml"])).ShouldBe(Broken);
    }

    [Fact]
    public async Task Check_Json_IsOneDocumentOnStdout()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["loom.toml"], Broken);
        var (exit, output, _) = await RunAsync(folder, ["config", "check", "--json"]);
        exit.ShouldBe(2);
        using var document = JsonDocument.Parse(output);
        var root = document.RootElement;
        root.EnumerateObject().First().Name.ShouldBe("schema");
        root.GetProperty("ok").GetBoolean().ShouldBeFalse();
        var fault = root.GetProperty("errors").EnumerateArray().Single();
        fault.GetProperty("code").GetString().ShouldBe("CFG020");
        fault.GetProperty("source").GetProperty("line").GetInt32().ShouldBe(3);
    }

    [Fact]
    public async Task Down_BrokenFile_IsNoHindrance()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["loom.toml"], "this is = = not toml");
        var (exit, _, error) = await RunAsync(folder, ["down"]);
        exit.ShouldBe(0, error);
    }

    [Fact]
    public async Task Show_AndExplain_GoOnWithABrokenFile()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["loom.toml"], Broken);
        var show = await RunAsync(folder, ["config", "show", "serving.bind"]);
        show.Exit.ShouldBe(2);
        show.Out.ShouldContain("bind = \"127.0.0.1:8080\"  # default");
        var explain = await RunAsync(folder, ["config", "explain", "ORCHD_ADDR"]);
        explain.Exit.ShouldBe(0);
        explain.Out.ShouldContain("ORCHESTRATORD_BIND_ADDR, ORCHD_ADDR");
        (await RunAsync(folder, ["config", "explain", "ORCHD_ADR"])).Err.ShouldContain("did you mean ORCHD_ADDR?");
    }

    private static async Task<(int Exit, string Out, string Err)> RunAsync(TempFolder folder, string[] arguments, params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(RunningLoom.Program, arguments) { WorkingDirectory = folder.Path, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(RunningLoom.Deadline);
        var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
        var error = process.StandardError.ReadToEndAsync(deadline.Token);
        await process.WaitForExitAsync(deadline.Token);
        return (process.ExitCode, await output, await error);
    }
}
