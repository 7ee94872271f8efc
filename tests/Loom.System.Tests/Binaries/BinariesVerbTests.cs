using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Binaries;

/// <summary><c>loom binaries</c>, and <c>loom up</c> where it concerns programs, with the real program against a local server.</summary>
public sealed class BinariesVerbTests : IAsyncLifetime
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private ReleaseServer _release = null!;

    public async ValueTask InitializeAsync() => _release = await ReleaseServer.StartAsync();

    public async ValueTask DisposeAsync() => await _release.DisposeAsync();

    [Fact(Timeout = 300_000)]
    public async Task Verbs_OneProgramThroughItsLife()
    {
        _release.Publish("1.0", ReleaseServer.Script("1.0"));
        _release.Publish("1.1", ReleaseServer.Script("1.1"));
        var path = Path.Combine(_release.Cache, ReleaseServer.Artifact("1.0"));
        (await LoomAsync("binaries", "fetch", "tool@1.0")).ShouldBe((0, path + "\n"));
        var (exit, output) = await LoomAsync("binaries", "fetch", "tool", "--json");
        exit.ShouldBe(0);
        using (var fetched = JsonDocument.Parse(output))
        {
            fetched.RootElement.GetProperty("version").GetString().ShouldBe("1.1");
            fetched.RootElement.GetProperty("origin").GetString().ShouldBe("download");
            fetched.RootElement.GetProperty("verified").GetBoolean().ShouldBeTrue();
        }

        (await LoomAsync("binaries", "list")).Out.ShouldContain("verified");
        (await LoomAsync("binaries", "verify")).ShouldBe((0, "tool 1.0: ok\ntool 1.1: ok\n"));

        await File.AppendAllTextAsync(path, "#");
        (exit, output) = await LoomAsync("binaries", "verify");
        exit.ShouldBe(6);
        output.ShouldContain("tool 1.0: 'tool-v1.0");
        (await LoomAsync("binaries", "fetch", "tool@1.0")).Exit.ShouldBe(0);
        (await File.ReadAllBytesAsync(path)).ShouldBe(ReleaseServer.Script("1.0"));

        (await LoomAsync("binaries", "prune", "--dry-run")).Out.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length.ShouldBe(2);
        (await LoomAsync("binaries", "prune")).Exit.ShouldBe(0);
        Directory.GetFiles(_release.Cache).Where(f => !Path.GetFileName(f).StartsWith('.')).Select(Path.GetFileName)
            .ShouldBe([ReleaseServer.Artifact("1.1"), "checksums.txt", "latest.json"], ignoreOrder: true);
        (await LoomAsync("binaries", "verify")).ShouldBe((0, "tool 1.1: ok\n"));
    }

    [Fact(Timeout = 300_000)]
    public async Task Prune_VersionAnotherProjectUses_StaysUntilThatProjectIsGone()
    {
        foreach (var version in new[] { "1.0", "1.1", "1.2" })
        {
            _release.Publish(version, ReleaseServer.Script(version));
            (await LoomAsync("binaries", "fetch", $"tool@{version}")).Exit.ShouldBe(0);
        }

        var other = Directory.CreateDirectory(_release.Folder["other"]).FullName;
        await File.WriteAllTextAsync(Path.Combine(other, "loom.toml"), "[binaries.tool]\nversion = \"1.0\"\n[agents.once]\ncommand = [\"tool\"]\nrestart = \"never\"\n[serving]\nbind = \"127.0.0.1:0\"\n");
        var (exit, _, error) = await RunningLoom.RunAsync(other, ["run"], [.. _release.Environment, ("LOOM_PROJECT", other)]);
        exit.ShouldBe(0, error);

        (await LoomAsync("binaries", "prune")).Exit.ShouldBe(0);
        (await LoomAsync("binaries", "verify")).ShouldBe((0, "tool 1.0: ok\ntool 1.2: ok\n"));
        Directory.Delete(other, recursive: true);
        (await LoomAsync("binaries", "prune")).Exit.ShouldBe(0);
        (await LoomAsync("binaries", "verify")).ShouldBe((0, "tool 1.2: ok\n"));
    }

    [Fact(Timeout = 300_000)]
    public async Task Fetch_FaultsOfTheNetwork_HaveTheirExitCodes()
    {
        _release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}"] = ReleaseServer.Script("1");
        (await LoomAsync("binaries", "fetch", "tool@1.0")).Exit.ShouldBe(6);
        (await LoomAsync("binaries", "fetch", "tool@1.0", "--allow-unverified")).Exit.ShouldBe(0);
        (await LoomAsync("binaries", "fetch", "tool@2.0")).Exit.ShouldBe(1);
        (await LoomAsync("binaries", "fetch", "tool@..")).Exit.ShouldBe(2);
        (await LoomAsync("binaries", "fetch", "../tool")).Exit.ShouldBe(2);
        var nobody = await RunningLoom.RunAsync(_release.Project, ["binaries", "fetch", "tool@2.0"],
            [.. _release.Environment, ("LOOM_RUNTIME__DOWNLOAD_BASE", "http://ann:pass-word-1@127.0.0.1:9/x?sig=very-secret")]);
        nobody.Exit.ShouldBe(8, nobody.Err);
        nobody.Err.ShouldNotContain("very-secret");
        nobody.Err.ShouldNotContain("pass-word-1");
    }

    [Fact(Timeout = 300_000)]
    public async Task Fetch_KilledInTheMiddle_NextOneResumes()
    {
        var content = new byte[400_000];
        new Random(3).NextBytes(content);
        _release.Publish("1.0", content);
        var path = $"/base/v1.0/{ReleaseServer.Artifact("1.0")}";
        var half = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _release.Server.HoldAfter = (asked, length) => asked == path && !half.Task.IsCompleted ? length / 2 : null;
        await using (var loom = Child.Start(_release.Project, [RunningLoom.Program, "binaries", "fetch", "tool@1.0"], _release.Environment))
        {
            await Deadline.Until(() => Directory.Exists(_release.Cache) && Directory.GetFiles(_release.Cache, ".*.part").Any(f => new FileInfo(f).Length == 200_000), "half of it arrives", s_limit);
            loom.Signal(9);
            await loom.Exited;
            half.SetResult();
        }

        (await LoomAsync("binaries", "list")).Out.ShouldNotContain("tool");
        (await LoomAsync("binaries", "fetch", "tool@1.0")).Exit.ShouldBe(0);
        (await File.ReadAllBytesAsync(Path.Combine(_release.Cache, ReleaseServer.Artifact("1.0")))).ShouldBe(content);
        _release.Server.Requests.ShouldContain("bytes=200000-");
    }

    [Fact(Timeout = 300_000)]
    public async Task Up_ForceDownload_GoesOnAsTheNewestLoom()
    {
        _release.Publish("9.9", "#!/bin/sh\necho \"9.9 got: $*; $LOOM_HANDED_OVER is $$\"\nexit 42\n"u8.ToArray(), "loom");
        var (exit, output, err) = await RunningLoom.RunAsync(_release.Project, ["up", "--force-download", "--no-input"], _release.Environment);
        exit.ShouldBe(42, err);
        output.ShouldMatch(@"^9\.9 got: up --force-download --no-input; (\d+) is \1\n$");
        err.ShouldContain("going on as loom 9.9");
        File.Exists(Path.Combine(_release.Cache, ReleaseServer.Artifact("9.9", "loom"))).ShouldBeTrue();
    }

    [Fact(Timeout = 300_000)]
    public async Task Up_ForceDownloadAndNobodyAnswers_Exit8AndNothingChanged()
    {
        (string, string)[] environment = [.. _release.Environment, ("LOOM_RUNTIME__DOWNLOAD_BASE", "http://127.0.0.1:9/")];
        var (exit, _, err) = await RunningLoom.RunAsync(_release.Project, ["up", "--force-download"], environment);
        exit.ShouldBe(8, err);
        Directory.Exists(_release.Cache).ShouldBeFalse();
        Directory.Exists(Path.Combine(_release.Project, ".loom")).ShouldBeFalse();
    }

    [Theory(Timeout = 300_000)]
    [InlineData("--version", "v9.9")]
    [InlineData(null, null)]
    public async Task Up_AnotherVersion_IsHandedOverBeforeTheFileIsJudged(string? flag, string? value)
    {
        _release.Publish("9.9", ReleaseServer.Script("9.9"), "loom");
        await File.WriteAllTextAsync(Path.Combine(_release.Project, "loom.toml"), "of_the_future = 1\n" + (flag is null ? "[runtime]\nversion = \"9.9\"\n" : ""));
        var (exit, output, err) = await RunningLoom.RunAsync(_release.Project, flag is null ? ["up"] : ["up", flag, value!], _release.Environment);
        exit.ShouldBe(0, err);
        output.ShouldStartWith("version 9.9: up");
    }

    [Fact(Timeout = 300_000)]
    public async Task Up_PreferDebug_RunsTheDebugBuildOnceAndNoEndlessCircle()
    {
        var build = Directory.CreateDirectory(Path.Combine(_release.Project, "target", "debug"), (UnixFileMode)0b111_101_101).FullName;
        Directory.CreateDirectory(Path.Combine(_release.Project, "agents"));
        await File.WriteAllTextAsync(Path.Combine(_release.Project, "agents", "a.sh"), "sleep 1000\n");
        await File.WriteAllTextAsync(Path.Combine(build, "loom"), $"#!/bin/sh\necho debug build >&2\nexec {RunningLoom.Program} \"$@\"\n");
        File.SetUnixFileMode(Path.Combine(build, "loom"), (UnixFileMode)0b111_101_101);
        var loom = RunningLoom.Launch(_release.Project, [.. _release.Environment, ("LOOM_PREFER_DEBUG", "1")]);
        await loom.WaitReadyAsync();
        (await loom.StopAsync()).ShouldBe(0);
        loom.Err.Split('\n').Count(l => l == "debug build").ShouldBe(1); // read to its end now
        loom.Survivors().ShouldBeEmpty();
    }

    [Fact(Timeout = 300_000)]
    public async Task Up_DeclaredBinaries_AreInThePathOfAgents()
    {
        _release.Publish("1.0", ReleaseServer.Script("1.0"));
        await File.WriteAllTextAsync(Path.Combine(_release.Project, "loom.toml"), """
            [binaries.tool]
            version = "1.0"
            [agents.user]
            command = ["tool", "hello"]
            restart = "never"
            """);
        var loom = RunningLoom.Launch(_release.Project, _release.Environment);
        await loom.WaitReadyAsync();
        var log = Path.Combine(_release.Project, ".loom", "logs", "user.log");
        await Deadline.Until(() => File.Exists(log) && File.ReadAllText(log).Contains("version 1.0: hello"), "the agent runs it", s_limit);
        await loom.StopAsync();
    }

    private async Task<(int Exit, string Out)> LoomAsync(params string[] arguments)
    {
        var (exit, output, err) = await RunningLoom.RunAsync(_release.Project, arguments, _release.Environment);
        TestContext.Current.TestOutputHelper?.WriteLine($"{string.Join(' ', arguments)}: {exit}\n{err}");
        return (exit, output);
    }
}
