using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>What <c>init</c> and <c>new agent</c> write runs as it is, in each language.</summary>
public sealed class ScaffoldTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Theory]
    [InlineData("python")]
    [InlineData("csharp")]
    [InlineData("node")]
    [InlineData("sh")]
    public async Task Init_Language_UpRunsTheAgentAndDownStopsItInOrder(string language)
    {
        using var parent = new TempFolder();
        var (exit, _, err) = await RunningLoom.RunAsync(parent.Path, ["init", "first", "--lang", language]);
        exit.ShouldBe(0, err);
        err.ShouldContain("cd first && loom up");
        var folder = parent["first"];
        (exit, _, err) = await RunningLoom.RunAsync(folder, ["up", "-d", "--wait", "--wait-timeout", "3m"]);
        exit.ShouldBe(0, err);
        try
        {
            var log = Path.Combine(folder, ".loom", "logs", "hello.log");
            await Deadline.Until(() => File.Exists(log) && File.ReadAllText(log).Contains("hello: beat 2", StringComparison.Ordinal), "the agent shows that it lives", s_limit);
            (await RunningLoom.RunAsync(folder, ["status", "hello"])).Exit.ShouldBe(0);
        }
        finally
        {
            (exit, _, err) = await RunningLoom.RunAsync(folder, ["down"]);
        }

        exit.ShouldBe(0, err);
        var text = await File.ReadAllTextAsync(Path.Combine(folder, ".loom", "logs", "hello.log"), TestContext.Current.CancellationToken);
        text.ShouldContain("hello: hello");
        text.ShouldContain("hello: asked to stop, goodbye");
    }

    [Theory]
    [InlineData("python", "agents/second.py")]
    [InlineData("csharp", "agents/second.cs")]
    [InlineData("node", "agents/second.mjs")]
    [InlineData("sh", "agents/second.sh")]
    public async Task NewAgent_Snippet_FitsLoomToml(string language, string path)
    {
        var folder = RunningLoom.NewFolder("name = \"x\"\n");
        var (exit, snippet, err) = await RunningLoom.RunAsync(folder, ["new", "agent", "second", "--lang", language]);
        exit.ShouldBe(0, err);
        File.Exists(Path.Combine(folder, path)).ShouldBeTrue();
        (await File.ReadAllTextAsync(Path.Combine(folder, "loom.toml"), TestContext.Current.CancellationToken)).ShouldBe("name = \"x\"\n");
        await File.AppendAllTextAsync(Path.Combine(folder, "loom.toml"), snippet, TestContext.Current.CancellationToken);
        var (check, _, faults) = await RunningLoom.RunAsync(folder, ["config", "check", "--strict"]);
        check.ShouldBe(0, faults);
        (await RunningLoom.RunAsync(folder, ["new", "agent", "second", "--lang", "sh"])).ShouldSatisfyAllConditions(r => r.Exit.ShouldBe(2), r => r.Err.ShouldContain("there is an agent 'second' already"));
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public async Task Init_FilesThatExist_AreKept()
    {
        using var parent = new TempFolder();
        await File.WriteAllTextAsync(parent[".gitignore"], "mine\n", TestContext.Current.CancellationToken);
        var (exit, _, err) = await RunningLoom.RunAsync(parent.Path, ["init", "--template", "agents"]);
        exit.ShouldBe(0, err);
        (await File.ReadAllTextAsync(parent[".gitignore"], TestContext.Current.CancellationToken)).ShouldBe("mine\n");
        (await RunningLoom.RunAsync(parent.Path, ["config", "check", "--strict"])).Exit.ShouldBe(0);
        (await RunningLoom.RunAsync(parent.Path, ["init"])).Exit.ShouldBe(2);
    }
}
