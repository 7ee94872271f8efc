using System.Text.Json;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// The drill "disk full during checkpoint and dead letter" of section 17, on a small disk of its own: checkpoints are given up and dead letters wait, which shows as bad health; nothing is dropped and
/// nothing ends; with room again everything goes on without help.
/// </summary>
public sealed class DiskFullDrills
{
    [Fact]
    public async Task DiskFull_WhileEventsFlow_WaitsSaysSoAndGoesOn()
    {
        using var folder = new TempFolder();
        var system = Directory.CreateDirectory(folder["sys"]).FullName;
        var disk = Directory.CreateDirectory(folder["sys/.loom"]).FullName;
        if (!await MountAsync(folder.Path, ["mount", "-t", "tmpfs", "-o", "size=32m", "loom-drill", disk]))
        {
            Assert.Skip("a small disk can only be mounted by root");
        }

        try
        {
            await ProveAsync(folder, system, disk);
        }
        finally
        {
            await Deadline.Until(() => MountAsync(folder.Path, ["umount", "-l", disk]).GetAwaiter().GetResult(), "unmounted");
        }
    }

    private static async Task ProveAsync(TempFolder folder, string system, string disk)
    {
        var items = Drill.Count(4_000, 20_000);
        await File.WriteAllTextAsync(folder["sys/architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: full, version: 1.0.0 }
            components:
              - { name: src, type: Source, uses: jsonl, config: { path: in.jsonl, follow: true }, state: { checkpoint_interval_items: 200 } }
              - { name: half, type: Transformer, uses: map, config: { set: { m: data.even + 1 } } }
              - { name: lines, type: Sink, uses: jsonl_out, config: { path: out.jsonl } }
            bindings:
              - { from: src.out, to: half.in, buffer: 100 }
              - { from: half.out, to: lines.in, buffer: 100 }
            """);
        await File.WriteAllLinesAsync(folder["sys/in.jsonl"], Lines(0, 100));
        await using var run = Child.Start(folder.Path, [RunningLoom.Program, "harness", "run", "sys", "--unlocked", "--port", "0"]);
        await Deadline.Until(() => run.Exited.IsCompleted || Dead(system) == 50, $"it runs: {run.Output}");

        // Full to the last byte.
        var ballast = Path.Combine(disk, "ballast");
        await FillAsync(ballast);
        await File.AppendAllLinesAsync(folder["sys/in.jsonl"], Lines(100, items));
        JsonElement health = default;
        await Deadline.Until(() => (health = Health(system)).GetProperty("health").GetString() == "unhealthy", "it says that it is not well");
        var reasons = string.Join("; ", health.GetProperty("reasons").EnumerateArray().Select(r => r.GetString()));
        reasons.ShouldContain("No space left");
        var checkpoints = reasons.Contains("checkpoint", StringComparison.Ordinal);
        var dead = Dead(system);
        run.Exited.IsCompleted.ShouldBeFalse(run.Output);

        File.Delete(ballast);
        await Deadline.Until(() => Dead(system) == items / 2, "every dead letter is written", TimeSpan.FromSeconds(120));
        (await RunningLoom.RunAsync(system, ["harness", "drain"])).Exit.ShouldBe(0);
        (await run.Exited.WaitAsync(RunningLoom.Deadline)).ShouldBe((0, null), run.Output);
        File.ReadLines(folder["sys/out.jsonl"]).Count().ShouldBe(items / 2);
        Drill.Report(
            "disk full during checkpoint and dead letter", 1, 1,
            $"{items} events, {dead} dead letters when it was full, {Dead(system)} at the end, {items / 2} delivered once; told: {reasons}; checkpoints also: {checkpoints}");
    }

    private static IEnumerable<string> Lines(int from, int to) =>
        Enumerable.Range(from, to - from).Select(n => n % 2 == 0 ? $$"""{"n":{{n}},"even":{{n}}}""" : $$"""{"n":{{n}}}""");

    private static int Dead(string system)
    {
        var file = Path.Combine(system, ".loom", "harness", "full", "dead", "half.jsonl");
        return File.Exists(file) ? File.ReadLines(file).Count(l => l.EndsWith('}')) : 0;
    }

    private static JsonElement Health(string system)
    {
        var (exit, output, error) = RunningLoom.RunAsync(system, ["harness", "ps", "--json"]).GetAwaiter().GetResult();
        exit.ShouldBe(0, error);
        return JsonElement.Parse(output).GetProperty("health");
    }

    private static async Task FillAsync(string path)
    {
        await using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
        for (var size = 65536; size > 0;)
        {
            try
            {
                file.Write(new byte[size]);
            }
            catch (IOException)
            {
                size /= 16;
            }
        }
    }

    private static async Task<bool> MountAsync(string folder, string[] command)
    {
        await using var child = Child.Start(folder, command);
        return (await child.Exited.WaitAsync(TimeSpan.FromSeconds(120))).Code == 0;
    }
}
