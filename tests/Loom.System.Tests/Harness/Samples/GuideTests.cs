using System.Text.Json;
using System.Text.RegularExpressions;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Samples;

/// <summary><c>docs/harness.md</c>, typed by a newcomer: its commands in its order, with its files, in one folder.</summary>
public sealed partial class GuideTests : IDisposable
{
    private readonly TempFolder _folder = new();

    // What loom is called on the page.
    private readonly (string, string)[] _environment;

    public GuideTests() => _environment =
    [
        ("PATH", $"{Path.GetDirectoryName(RunningLoom.Program)}:{Environment.GetEnvironmentVariable("PATH")}"), ("LOOM_HARNESS__BIND", "127.0.0.1:0"),
        ("LOOM_STATE__CHECKPOINT_INTERVAL_S", "3600"), // the page kills it within the first minute; whoever types slowly would have another checkpoint
    ];

    private string First => _folder["first"];

    [Fact]
    public async Task Guide_TypedFromTopToBottom_DoesWhatItSays()
    {
        var page = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "harness.md"));
        var shell = Blocks(page, "sh");
        var yaml = Blocks(page, "yaml");

        // Begin
        (await TypeAsync(_folder.Path, shell[0])).ShouldEndWith("""
            {"id":2,"amount":120,"count":1,"total":120}
            {"id":3,"amount":300,"count":3,"total":900}

            """);
        (await File.ReadAllTextAsync(Path.Combine(First, "architecture.yaml"))).ShouldEndWith(yaml[0]);

        // Keep it running, and look inside
        var lines = shell[1].Split('\n');
        (await TypeAsync(First, $"{lines[0]}\n{lines[1]} || echo refused with $?\n{lines[2]}")).ShouldContain("refused with 3");
        await using (var run = await RunAsync(lines[3]))
        {
            await using var tap = Start(shell[2]);
            await Deadline.Until(() => tap.Exited.IsCompleted || tap.Output.Contains("tapped", StringComparison.Ordinal), "the tap is on", RunningLoom.Deadline);
            var ps = await TypeAsync(First, shell[3]);
            ps.ShouldContain("first 0.1.0: healthy");
            await Deadline.Until(() => tap.Output.Contains("\"total\":1400", StringComparison.Ordinal), "order 6 is seen", RunningLoom.Deadline);
            tap.Output.ShouldContain("""{"id":4,"amount":500,"count":2,"total":1000}""");

            // What could not be processed
            (await TypeAsync(First, shell[4])).ShouldContain("data.amount is missing; ask for it first with has(data.amount)");

            // Kill it
            await TypeAsync(First, shell[5].Split('\n')[0]);
            (await run.Exited.WaitAsync(RunningLoom.Deadline)).Signal.ShouldBe(9);
        }

        await using (var again = await RunAsync(shell[5].Split('\n')[1]))
        {
            again.Output.ShouldContain("going on from checkpoint 1.1 of ");
            await Deadline.Until(() => TypeAsync(First, "loom harness ps --json").GetAwaiter().GetResult().Contains("\"dead_lettered\":1", StringComparison.Ordinal), "what came after it comes again", RunningLoom.Deadline);
            await TypeAsync(First, "loom harness drain");
            (await again.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), again.Output);
        }

        shell[6].ShouldStartWith("loom harness drain\n");
        Written().ShouldBe([2, 3, 4, 6]);

        // A part of your own
        File.Copy(Path.Combine(Repository.Root, "sdk", "harness", "python", "loom_component.py"), Path.Combine(First, "loom_component.py"));
        await File.WriteAllTextAsync(Path.Combine(First, "tax.py"), Blocks(page, "python")[0]);
        var architecture = Path.Combine(First, "architecture.yaml");
        var text = (await File.ReadAllTextAsync(architecture)).Replace(", follow: true", "")
            .Replace("  - { name: store,", yaml[1] + "  - { name: store,").Replace("  - { from: total.out, to: store.in }\n", yaml[2]);
        await File.WriteAllTextAsync(architecture, text);
        (await TypeAsync(First, shell[7])).ShouldContain("it conforms");
        Written().ShouldBe([2, 3, 4, 6, 2, 3, 4, 6], "--fresh reads all again, and existing: append keeps what was there");
        File.ReadAllLines(Path.Combine(First, "out/large.jsonl"))[^1].ShouldBe("""{"id":6,"amount":700,"count":2,"total":1400,"tax":266}""");

        // Test a system
        var (failing, passing) = (shell[8], shell[9]);
        var told = await TypeAsync(First, $"{failing.TrimEnd()} || echo failed with $?");
        told.ShouldContain("orders.test.yaml:9:19: store.in: event 1 differs at tax");
        told.ShouldContain("""+ {"id":2,"amount":120,"count":3,"total":360,"tax":68}""");
        told.ShouldContain("failed with 1");
        await File.WriteAllTextAsync(Path.Combine(First, "orders.test.yaml"), yaml[3]);
        told = await TypeAsync(First, passing);
        told.ShouldContain("3 passed");
        told.ShouldContain("2 passed", customMessage: "two names have total in them");
        File.Exists(Path.Combine(First, "results.xml")).ShouldBeTrue();
    }

    public void Dispose() => _folder.Dispose();

    private static List<string> Blocks(string page, string language) =>
        [.. Block().Matches(page).Where(m => m.Groups[1].Value == language).Select(m => m.Groups[2].Value)];

    [GeneratedRegex("^```([a-z]*)\n(.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline, 5000)]
    private static partial Regex Block();

    private IEnumerable<int> Written() => File.ReadLines(Path.Combine(First, "out/large.jsonl")).Select(l => JsonElement.Parse(l).GetProperty("id").GetInt32());

    private Child Start(string line) => Child.Start(First, ["bash", "-c", "exec " + line.TrimEnd('\n')], _environment);

    private async Task<Child> RunAsync(string line)
    {
        var run = Start(line);
        await Deadline.Until(() => run.Exited.IsCompleted || run.Output.Contains(" (loom harness ps", StringComparison.Ordinal), "it listens", RunningLoom.Deadline);
        run.Exited.IsCompleted.ShouldBeFalse(run.Output);
        return run;
    }

    private async Task<string> TypeAsync(string folder, string lines)
    {
        await using var shell = Child.Start(folder, ["bash", "-e", "-c", lines], _environment);
        var end = await shell.Exited.WaitAsync(RunningLoom.Deadline);
        end.ShouldBe((0, null), shell.Output);
        return shell.Output;
    }
}
