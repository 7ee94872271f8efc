using System.Diagnostics;
using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Clients;

/// <summary>The unmodified OpenAI SDK for Node, run by the scripts in <c>tests/openai-node</c>.</summary>
public sealed class OpenAiNodeTests(MockProject project) : IClassFixture<MockProject>
{
    private static readonly string s_folder = Path.Combine(Repository.Root, "tests", "openai-node");

    [Fact]
    public async Task Sdk_WholeWalk_FindsWhatItExpects()
    {
        var result = await NodeAsync("walk.mjs", new Uri(project.Loom.Api, "/v1").ToString(), "demo");
        result.GetProperty("models").EnumerateArray().Select(m => m.GetString()).ShouldContain("demo");
        result.GetProperty("chat").GetString().ShouldBe(result.GetProperty("stream").GetString());
        result.GetProperty("chatUsage").GetInt32().ShouldBe(8);
        result.GetProperty("streamUsage").GetInt32().ShouldBe(8);
        result.GetProperty("pieces").GetInt32().ShouldBe(8);
        result.GetProperty("finish").GetString().ShouldBe("length");
        result.GetProperty("notFound").GetString().ShouldBe("model_not_found");
        result.GetProperty("beforeAbort").GetInt32().ShouldBeInRange(3, 100);
        result.GetProperty("norm").GetDouble().ShouldBe(1, 0.001);
    }

    [Fact]
    public async Task Sdk_EngineResetMidStream_FailsInsteadOfEndingQuietly()
    {
        await using var loom = await RunningLoom.UpAsync(MockProject.Toml("--tokens-per-second", "50", "--fault", "reset:5"));
        var result = await NodeAsync("broken-stream.mjs", new Uri(loom.Api, "/v1").ToString(), "demo");
        result.GetProperty("ended").GetString().ShouldBe("error");
        result.GetProperty("pieces").GetInt32().ShouldBe(5);
    }

    private static async Task<JsonElement> NodeAsync(string script, params string[] arguments)
    {
        await InstallAsync();
        var (exit, output, error) = await RunAsync("node", [Path.Combine(s_folder, script), .. arguments]);
        exit.ShouldBe(0, error);
        return JsonDocument.Parse(output.Trim().Split('\n')[^1]).RootElement.Clone();
    }

    private static async Task InstallAsync()
    {
        if (!Directory.Exists(Path.Combine(s_folder, "node_modules", "openai")))
        {
            var (exit, output, error) = await RunAsync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
            exit.ShouldBe(0, output + error);
        }
    }

    private static async Task<(int Exit, string Out, string Err)> RunAsync(string program, string[] arguments)
    {
        var info = new ProcessStartInfo(program, arguments) { WorkingDirectory = s_folder, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(info)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync().WaitAsync(RunningLoom.Deadline);
        return (process.ExitCode, await output, await error);
    }
}
