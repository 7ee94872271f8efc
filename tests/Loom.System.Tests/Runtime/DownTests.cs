using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Runtime;

/// <summary><c>down --all</c> and <c>--orphans</c>. They reach every project of the user, so they run in a process namespace of their own.</summary>
public sealed class DownTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);
    private static readonly string[] s_alone = ["/usr/bin/unshare", "-r", "--pid", "--fork", "--mount-proc", "sh", "-c"];

    [Fact]
    public async Task All_TwoProjects_BothStop()
    {
        var (first, second) = (AgentProject.NewFolder("", ("steady", AgentProject.Steady)), AgentProject.NewFolder("", ("steady", AgentProject.Steady)));
        var output = await RunAloneAsync(first, $"""
            set -e
            "$LOOM" up -d -q -C {first}
            "$LOOM" up -d -q -C {second}
            "$LOOM" down --all --json
            "$LOOM" status -C {first} || echo "first $?"
            "$LOOM" status -C {second} || echo "second $?"
            echo left $(grep -l steady /proc/[0-9]*/cmdline 2>/dev/null | wc -l)
            """);
        var line = output.Split('\n').Single(l => l.StartsWith('{'));
        using var document = JsonDocument.Parse(line);
        document.RootElement.GetProperty("projects").EnumerateArray().Select(p => p.GetProperty("project").GetString()).ShouldBe(new[] { first, second }.Order(StringComparer.Ordinal));
        document.RootElement.GetProperty("was_running").GetBoolean().ShouldBeTrue();
        output.ShouldContain("first 3");
        output.ShouldContain("second 3");
        Directory.Delete(first, recursive: true);
        Directory.Delete(second, recursive: true);
    }

    [Fact]
    public async Task Orphans_OfADeadRunOnly_AreEnded()
    {
        var folder = AgentProject.NewFolder("", ("steady", AgentProject.Steady));
        var output = await RunAloneAsync(folder, $"""
            set -e
            "$LOOM" up -d -q --wait
            LOOM_RUN_ID=01DEAD setsid sleep 1000 &
            setsid sleep 2000 &
            until grep -q 1000 /proc/$!/../[0-9]*/cmdline 2>/dev/null; do :; done
            "$LOOM" down --orphans --json
            "$LOOM" down --orphans
            "$LOOM" status steady --json
            echo "unmarked $(grep -c 2000 /proc/$!/cmdline)"
            "$LOOM" down
            """);
        var lines = output.Split('\n').Where(l => l.StartsWith('{')).ToList();
        using var swept = JsonDocument.Parse(lines[0]);
        var orphan = swept.RootElement.GetProperty("orphans").EnumerateArray().ShouldHaveSingleItem();
        orphan.GetProperty("run_id").GetString().ShouldBe("01DEAD");
        orphan.GetProperty("processes").EnumerateArray().ShouldHaveSingleItem().GetString()!.ShouldContain("sleep 1000");
        orphan.GetProperty("survivors").GetArrayLength().ShouldBe(0);
        output.ShouldContain("no orphans");
        using var status = JsonDocument.Parse(lines[1]);
        status.RootElement.GetProperty("processes")[0].GetProperty("state").GetString().ShouldBeOneOf("ready", "running");
        output.ShouldContain("unmarked 1");
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<string> RunAloneAsync(string folder, string script)
    {
        await using (var probe = Child.Start(folder, [.. s_alone, "true"]))
        {
            Assert.SkipUnless((await probe.Exited.WaitAsync(s_limit, TestContext.Current.CancellationToken)).Code == 0, "no process namespaces here: " + probe.Output);
        }

        await using var child = Child.Start(folder, [.. s_alone, script], ("LOOM", RunningLoom.Program));
        var end = await child.Exited.WaitAsync(s_limit, TestContext.Current.CancellationToken);
        end.Code.ShouldBe(0, child.Output);
        return child.Output;
    }
}
