using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

/// <summary>A followed log: every line once, through renaming, truncating and restarts.</summary>
public class FollowTests
{
    private static readonly LinesOptions s_options = new() { Path = "app.log", Follow = true, PollMs = TimeSpan.FromMilliseconds(5) };

    private static async Task<LinesSource> StartAsync(Stage stage, LinesOptions? options = null, byte[]? state = null, IReadOnlyDictionary<string, long>? next = null)
    {
        var source = await stage.SetUpAsync(new LinesSource(options ?? s_options, NullLogger<LinesSource>.Instance));
        if (next is not null)
        {
            await source.SeekAsync(next, default);
        }

        if (state is not null)
        {
            await Stage.RestoreAsync(source, state);
        }

        return source;
    }

    private static async Task<string[]> TextAsync(Source<JsonElement> source, int count, List<Read<JsonElement>>? into = null)
    {
        var reads = await Stage.ReadAsync(source, count);
        into?.AddRange(reads);
        return [.. reads.Select(r => r.Data.GetProperty("line").GetString()!)];
    }

    [Fact]
    public async Task Follow_GrowingFile_WaitsForTheRestOfALine()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["app.log"], "one\ntw");
        await using var stage = new Stage(folder.Path);
        var source = await StartAsync(stage);
        (await TextAsync(source, 1)).ShouldBe(["one"]);
        var waiting = TextAsync(source, 1);
        await File.AppendAllTextAsync(folder["app.log"], "o\nthree\n");
        (await waiting).ShouldBe(["two"]);
        (await TextAsync(source, 1)).ShouldBe(["three"]);
        using var stop = new CancellationTokenSource();
        var last = source.ReadAsync(stop.Token, default).AsTask();
        await stop.CancelAsync();
        (await last).IsEnd.ShouldBeTrue();
    }

    [Fact]
    public async Task Follow_FileThatComesLater_IsReadFromItsStart()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var source = await StartAsync(stage, s_options with { StartAt = StartAt.End });
        var waiting = TextAsync(source, 1);
        await Task.Delay(50);
        await File.WriteAllTextAsync(folder["app.log"], "first\n");
        (await waiting).ShouldBe(["first"]);
    }

    [Fact]
    public async Task Follow_AfterARunThatDidNot_GoesOnWhereItEnded()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["app.log"], "one\ntwo\n");
        await using var stage = new Stage(folder.Path);
        var before = await Stage.ReadAsync(await StartAsync(stage, s_options with { Follow = false }));
        await File.AppendAllTextAsync(folder["app.log"], "three\n");
        var reads = new List<Read<JsonElement>>();
        (await TextAsync(await StartAsync(stage, next: Stage.Offsets(before)), 1, reads)).ShouldBe(["three"]);
        reads[0].Partition.ShouldBe(before[0].Partition);
    }

    [Fact]
    public async Task Follow_ThenNot_ThenAgain_EachLineOnce()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["app.log"], "one\n");
        await using var stage = new Stage(folder.Path);
        var reads = new List<Read<JsonElement>>();
        byte[]? state = null;
        foreach (var (follow, line) in new[] { (true, "one"), (false, "two"), (false, "three"), (true, "four") })
        {
            await File.AppendAllTextAsync(folder["app.log"], line == "one" ? "" : line + "\n");
            var source = await StartAsync(stage, s_options with { Follow = follow }, state, Stage.Offsets(reads));
            (await TextAsync(source, 1, reads)).ShouldBe([line]);
            if (!follow)
            {
                (await Stage.ReadAsync(source)).ShouldBeEmpty();
            }

            state = await Stage.SnapshotAsync(source);
        }

        reads.Select(r => r.Partition).Distinct().Count().ShouldBe(1);
    }

    [Fact]
    public async Task Follow_Renamed_ReadsTheOldToItsEndAndTheNewFromItsStart()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["app.log"], "same\na\n");
        await using var stage = new Stage(folder.Path);
        var reads = new List<Read<JsonElement>>();
        var source = await StartAsync(stage);
        (await TextAsync(source, 2, reads)).ShouldBe(["same", "a"]);
        File.Move(folder["app.log"], folder["app.log.1"]);
        await File.AppendAllTextAsync(folder["app.log.1"], "b\nhalf");
        await File.WriteAllTextAsync(folder["app.log"], "same\nc\n");
        (await TextAsync(source, 4, reads)).Order().ShouldBe(["b", "c", "half", "same"]);
        // The same first line in the same name is still another file.
        reads.Select(r => (r.Partition, r.Offset)).Distinct().Count().ShouldBe(6);
    }

    [Fact]
    public async Task Follow_Truncated_ReadsTheNewContent()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["app.log"], "old one\nold two\n");
        await using var stage = new Stage(folder.Path);
        var source = await StartAsync(stage);
        (await TextAsync(source, 2)).ShouldBe(["old one", "old two"]);
        await File.WriteAllTextAsync(folder["app.log"], "new one\n");
        (await TextAsync(source, 1)).ShouldBe(["new one"]);
        // Longer than before: only its first bytes tell.
        await File.WriteAllTextAsync(folder["app.log"], "newer one, and much longer than all that was there\nlast\n");
        (await TextAsync(source, 2)).ShouldBe(["newer one, and much longer than all that was there", "last"]);
    }

    [Fact]
    public async Task Follow_RotatedWhileNobodyRan_GoesOnInTheRenamedFile()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["app.log"], "1\n2\n");
        await using var stage = new Stage(folder.Path);
        var reads = new List<Read<JsonElement>>();
        var source = await StartAsync(stage);
        await TextAsync(source, 1, reads);
        var state = await Stage.SnapshotAsync(source);

        await File.AppendAllTextAsync(folder["app.log"], "3\n");
        File.Move(folder["app.log"], folder["app.log.1"]);
        await File.WriteAllTextAsync(folder["app.log"], "4\n");

        var restarted = await StartAsync(stage, state: state, next: Stage.Offsets(reads));
        (await TextAsync(restarted, 3, reads)).Order().ShouldBe(["2", "3", "4"]);
        reads.Select(r => (r.Partition, r.Offset)).Distinct().Count().ShouldBe(4);
    }

    [Fact]
    public async Task Follow_CopiedToAnotherDisk_IsKnownByItsFirstBytes()
    {
        using var folder = new TempFolder();
        var head = new string('h', 400);
        await File.WriteAllTextAsync(folder["app.log"], $"{head}\n2\n");
        await using var stage = new Stage(folder.Path);
        var reads = new List<Read<JsonElement>>();
        var source = await StartAsync(stage);
        await TextAsync(source, 1, reads);
        var state = await Stage.SnapshotAsync(source);
        var copy = await File.ReadAllBytesAsync(folder["app.log"]);
        await File.WriteAllBytesAsync(folder["other"], copy); // takes another number on the disk
        File.Delete(folder["app.log"]);
        File.Move(folder["other"], folder["app.log"]);
        var restarted = await StartAsync(stage, state: state, next: Stage.Offsets(reads));
        (await TextAsync(restarted, 1)).ShouldBe(["2"]);
    }

    [Fact]
    public async Task Follow_ManyRotationsAndRestarts_GiveEveryLineOnce()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var options = s_options with { Path = "app.log*" };
        var random = new Random(11);
        var reads = new List<Read<JsonElement>>();
        var seen = new List<string>();
        byte[]? state = null;
        int written = 0, rotated = 0;
        for (var round = 0; round < 12; round++)
        {
            var source = await StartAsync(stage, options, state, Stage.Offsets(reads));
            for (var step = 0; step < 6; step++)
            {
                var lines = random.Next(1, 20);
                await File.AppendAllTextAsync(folder["app.log"], string.Concat(Enumerable.Range(written, lines).Select(i => $"line {i}\n")));
                written += lines;
                if (random.Next(3) == 0)
                {
                    File.Move(folder["app.log"], folder[$"app.log.{++rotated}"]);
                }

                seen.AddRange(await TextAsync(source, random.Next(0, written - seen.Count + 1), reads));
            }

            state = await Stage.SnapshotAsync(source);
        }

        var last = await StartAsync(stage, options, state, Stage.Offsets(reads));
        seen.AddRange(await TextAsync(last, written - seen.Count, reads));
        seen.Order().ShouldBe(Enumerable.Range(0, written).Select(i => $"line {i}").Order());
        rotated.ShouldBeGreaterThan(3);
    }
}
