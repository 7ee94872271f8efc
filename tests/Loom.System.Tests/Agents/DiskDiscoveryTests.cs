using Loom.Agents.Plans;
using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Core.Settings;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Agents;

/// <summary>Discovery over a real disk: links, links that lead nowhere, links in a circle, what is executable and what is not.</summary>
public sealed class DiskDiscoveryTests
{
    [Fact]
    public void Plan_LinksAndPrograms_AreTakenForWhatTheyAre()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["agents"]);
        Directory.CreateDirectory(folder["lib/deep"]);
        File.WriteAllText(folder["lib/linked.sh"], "");
        File.WriteAllText(folder["lib/deep/main.sh"], "");
        File.WriteAllText(folder["agents/plain.sh"], "");
        File.WriteAllText(folder["agents/notes.md"], "#! not a program");
        Program(folder["agents/tool"], "#!/bin/sh\n");
        Program(folder["agents/binary"], "\u007FELF");
        File.CreateSymbolicLink(folder["agents/link.sh"], folder["lib/linked.sh"]);
        File.CreateSymbolicLink(folder["agents/nowhere.sh"], folder["lib/gone.sh"]);
        File.CreateSymbolicLink(folder["agents/circle.sh"], folder["agents/circle.sh"]);
        File.CreateSymbolicLink(folder["agents/deep"], folder["lib/deep"]);
        File.CreateSymbolicLink(folder["agents/around"], folder["agents"]);

        Names(folder).ShouldBe(["deep", "link", "plain", "tool"]);
    }

    [Fact]
    public void Plan_NoAgentsFolderOrAFileInItsPlace_IsEmpty()
    {
        using var folder = new TempFolder();
        Names(folder).ShouldBeEmpty();
        File.WriteAllText(folder["agents"], "");
        Names(folder).ShouldBeEmpty();
    }

    private static string[] Names(TempFolder folder)
    {
        File.WriteAllText(folder["loom.toml"], "");
        var result = SettingsLoader.Load(new LoadRequest
        {
            Registry = LoomRegistry.Instance,
            CrossRules = LoomRegistry.CrossRules,
            Environment = new Dictionary<string, string> { ["PATH"] = "/usr/bin:/bin" },
            WorkingFolder = folder.Path,
            HomeFolder = "/",
            HostName = "host",
            Files = new DiskFiles(),
        });
        result.Faults.Select(f => f.Message).ShouldBeEmpty();
        var (plan, faults) = ProjectPlanner.Plan(result.Snapshot, new DiskFiles(), new PlanSurroundings { RunId = "run", FreePort = static _ => 1 });
        faults.ShouldBeEmpty();
        return [.. plan.Agents.Select(a => a.Name)];
    }

    private static void Program(string path, string text)
    {
        File.WriteAllText(path, text);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }
}
