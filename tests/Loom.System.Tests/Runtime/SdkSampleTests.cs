using Loom.Runtime;
using Loom.SystemTests.Binaries;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The examples of the contract in C#, as a program of their own: <c>samples/csharp-api</c>.</summary>
public sealed class SdkSampleTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private static readonly string s_program = Path.Combine(AppContext.BaseDirectory, "csharp-api");
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory(Timeout = 300_000)]
    [InlineData(2, 130)]
    [InlineData(15, 0)]
    public async Task Orchestrate_Signal_StopsInOrder(int signal, int exit)
    {
        var first = SdkProject.Script(_folder["scripts"], "researcher");
        var second = SdkProject.Script(_folder["scripts"], "analyst");
        await using var sample = Start("orchestrate", _folder.Path, first, second);
        await RunsAsync(2);
        sample.Signal(signal);
        (await sample.Exited.WaitAsync(s_limit)).Code.ShouldBe(exit, sample.Output);
        SdkProject.Survivors(_folder.Path).ShouldBeEmpty();
        File.Exists(_folder["logs/analyst.log"]).ShouldBeTrue();
    }

    [Fact(Timeout = 300_000)]
    public async Task Orchestrate_KilledWithoutWarning_NothingSurvives()
    {
        SdkProject.Agent(_folder.Path, "writer");
        await using var sample = Start("orchestrate", _folder.Path);
        await RunsAsync(1);
        sample.Signal(9);
        await sample.Exited.WaitAsync(s_limit);
        await Deadline.Until(() => SdkProject.Survivors(_folder.Path).Count == 0, "the agents end", s_limit);
        await Deadline.Until(() => !File.Exists(_folder[".loom/run/state.json"]), "the runtime ends in order and takes its state with it", s_limit);
    }

    [Fact(Timeout = 300_000)]
    public async Task Watch_Line_ShowsProcessesAndEnds()
    {
        SdkProject.Agent(_folder.Path, "writer");
        await using var sample = Start("watch", _folder.Path); // its stdin is at its end already
        (await sample.Exited.WaitAsync(s_limit * 2)).Code.ShouldBe(0, sample.Output);
        sample.Output.ShouldMatch(@"writer: (starting|running|ready), pid \d+");
    }

    [Fact(Timeout = 300_000)]
    public async Task Config_OfTheContract_IsRead()
    {
        await File.WriteAllTextAsync(_folder["loom.toml"], """
            [bridge]
            address = "localhost:50051"

            [dashboard]
            enabled = true
            port = 3030

            [llm.deepseek]
            base_url = "https://api.deepseek.com/v1"
            model = "deepseek-chat"
            api_key = "${DEEPSEEK_API_KEY}"

            [mcp.brave]
            command = "npx"
            args = ["-y", "@modelcontextprotocol/server-brave-search"]
            env = { BRAVE_API_KEY = "${BRAVE_API_KEY}" }
            """);
        var keys = new Dictionary<string, string?> { ["DEEPSEEK_API_KEY"] = "secret-number-one", ["BRAVE_API_KEY"] = "secret-number-two" };
        var config = await ProjectConfig.LoadAsync(_folder.Path, new LoomLaunch { Environment = keys });
        config.Bridge.Address.ShouldBe("localhost:50051");
        config.Dashboard.ShouldBe(new DashboardConfig(true, "127.0.0.1", 3030));
        config.Llm["deepseek"].ShouldSatisfyAllConditions(
            l => l.BaseUrl.ShouldBe("https://api.deepseek.com/v1"), l => l.ApiBase.ShouldBe(l.BaseUrl), l => l.Model.ShouldBe("deepseek-chat"), l => l.HasApiKey.ShouldBeTrue());
        config.LlmProviders.ShouldBeSameAs(config.Llm);
        config.McpServers["brave"].ShouldSatisfyAllConditions(m => m.Command.ShouldBe("npx"), m => m.Args.Count.ShouldBe(2), m => m.Env.ShouldBe(["BRAVE_API_KEY"]));
        config.ToString().ShouldNotContain("secret-number");

        await using var sample = Start("config", _folder.Path);
        (await sample.Exited.WaitAsync(s_limit)).Code.ShouldBe(2, sample.Output); // the two keys are not set there
        sample.Output.ShouldContain("DEEPSEEK_API_KEY");
        sample.Output.ShouldContain("BRAVE_API_KEY");
    }

    [Fact(Timeout = 300_000)]
    public async Task Binary_ExactVersion_IsFetchedPastTheCache()
    {
        await using var release = await ReleaseServer.StartAsync();
        release.Publish("0.1.0-alpha.1", ReleaseServer.Script("alpha"), "loom-bridge");
        await using var sample = Child.Start(_folder.Path, [s_program, "binary", "loom-bridge", "v0.1.0-alpha.1"], release.Environment);
        (await sample.Exited.WaitAsync(s_limit)).Code.ShouldBe(0, sample.Output);
        var path = Path.Combine(release.Cache, ReleaseServer.Artifact("0.1.0-alpha.1", "loom-bridge"));
        sample.Output.ShouldContain($"Binary location: {path}");
        sample.Output.ShouldContain($"Cache directory: {release.Cache}");
        File.Exists(path).ShouldBeTrue();
    }

    [Fact(Timeout = 300_000)]
    public async Task GetBinary_LiesAndSilence_AreExceptionsWithTheirExitCodes()
    {
        await using var release = await ReleaseServer.StartAsync();
        var launch = new LoomLaunch { Environment = release.Environment.ToDictionary(v => v.Name, v => (string?)v.Value) };
        (await LoomRuntime.GetBinaryAsync("loom-bridge", launch: launch)).ShouldBe(RunningLoom.Program);
        release.Server.Files[$"/base/v1.0/{ReleaseServer.Artifact("1.0")}"] = ReleaseServer.Script("1");
        (await Should.ThrowAsync<LoomException>(LoomRuntime.GetBinaryAsync("tool", "1.0", launch: launch))).ExitCode.ShouldBe(6);
        (await Should.ThrowAsync<LoomException>(LoomRuntime.GetBinaryAsync("tool", "../1.0", launch: launch))).ExitCode.ShouldBe(2);
        await Should.ThrowAsync<OperationCanceledException>(LoomRuntime.GetBinaryAsync("tool", "1.0", launch: launch, cancellationToken: new CancellationToken(true)));
    }

    private static Child Start(params string[] arguments) => Child.Start(AppContext.BaseDirectory, [s_program, .. arguments]);

    private async Task RunsAsync(int agents) => await Deadline.Until(
        () => SdkProject.Survivors(_folder.Path).Count >= agents && File.Exists(_folder[".loom/run/state.json"]) && File.ReadAllText(_folder[".loom/run/state.json"]).Contains("\"ready\": true"),
        "the project is ready",
        s_limit);
}
