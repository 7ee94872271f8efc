using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary>The sample of three agents as a user runs it: Node, C# and Python, one that waits for another and one that crashes.</summary>
public sealed class AgentsSampleTests
{
    [Fact]
    public async Task Sample_Up_RunsThreeLanguagesInOrderAndRestartsWhatCrashes()
    {
        var folder = Copy("agents");
        await using var loom = RunningLoom.Launch(folder, ("CLOCK_PORT", FreePorts.NextText()));
        await loom.WaitReadyAsync();
        await Deadline.Until(() => Text(folder, "reader.log").Contains("the clock says 2", StringComparison.Ordinal), "the C# agent has asked the Node agent", RunningLoom.Deadline);
        await Deadline.Until(() => Text(folder, "flaky.err").Contains("three is as far", StringComparison.Ordinal), "the Python agent has crashed", RunningLoom.Deadline);
        await Deadline.Until(() => Of(Status(folder), "flaky").GetProperty("restarts").GetInt32() > 0, "it was started again", RunningLoom.Deadline);

        Text(folder, "reader.err").ShouldBeEmpty("it was started only when the clock answered");
        Text(folder, "clock.log").ShouldContain("listening on port");
        (await loom.StopAsync()).ShouldBe(0, loom.Err);
        loom.Survivors().ShouldBeEmpty();
        Text(folder, "clock.log").ShouldContain("closing");
    }

    [Fact]
    public async Task DryRun_Sample_ShowsStepsAndStartsNothing()
    {
        var folder = Copy("agents");
        var (exit, output, error) = await RunningLoom.RunAsync(folder, ["up", "--dry-run", "--json"], [("CLOCK_PORT", "17071")]);
        exit.ShouldBe(0, error);
        var agents = JsonDocument.Parse(output).RootElement.GetProperty("agents").EnumerateArray().ToDictionary(a => a.GetProperty("name").GetString()!);
        agents["clock"].GetProperty("step").GetInt32().ShouldBe(1);
        agents["reader"].GetProperty("step").GetInt32().ShouldBe(2);
        agents["reader"].GetProperty("after")[0].GetString().ShouldBe("clock ready");
        Directory.Exists(Path.Combine(folder, ".loom")).ShouldBeFalse();
        TempFolder.Delete(folder);
    }

    private static string Copy(string sample)
    {
        var folder = Directory.CreateTempSubdirectory("loom-test-").FullName;
        var source = Path.Combine(Repository.Root, "samples", sample);
        foreach (var file in Directory.GetFiles(source, "*", SearchOption.AllDirectories).Where(f => !f.Contains("/.", StringComparison.Ordinal)))
        {
            var target = Path.Combine(folder, Path.GetRelativePath(source, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }

        return folder;
    }

    private static string Text(string folder, string log)
    {
        var path = Path.Combine(folder, ".loom", "logs", log);
        return File.Exists(path) ? File.ReadAllText(path) : "";
    }

    private static JsonElement Status(string folder) => JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, ".loom", "run", "state.json"))).RootElement;

    private static JsonElement Of(JsonElement state, string name) => state.GetProperty("processes").EnumerateArray().First(p => p.GetProperty("name").GetString() == name);
}
