using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sinks;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

/// <summary>
/// Staged output under crashes. A crash is an instance that is let go of without cleanup, at any step; the checkpoint that is resumed from is the newest that was written whole.
/// </summary>
public class StagedSinkTests
{
    private static readonly Emitter<JsonElement> s_none = new();

    private static JsonlSink Jsonl(JsonlOutOptions? options = null) =>
        new(options ?? new JsonlOutOptions { Path = "out/out.jsonl" }, NullLogger<JsonlSink>.Instance);

    private static Event<JsonElement> Item(long n, bool mock = false) =>
        new(EventId.Root("in:0", n), JsonElement.Parse($$"""{"n":{{n}}}"""), mock: mock);

    [Fact]
    public async Task Staged_Output_AppearsAtTheCommitAndNotBefore()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path) { Checkpoints = true };
        var sink = await stage.SetUpAsync(Jsonl());
        await sink.HandleAsync(0, Item(1), s_none, default);
        await sink.FlushAsync(false, s_none, default);
        await Stage.SnapshotAsync(sink);
        Lines(folder).ShouldBeEmpty();
        await sink.CommitAsync(default);
        Lines(folder).ShouldBe(["""{"n":1}"""]);
        await sink.CommitAsync(default);
        Lines(folder).ShouldBe(["""{"n":1}"""]);
        Directory.GetFiles(folder.Path, "*.part", SearchOption.AllDirectories).ShouldBeEmpty();
    }

    // 120 runs: items flow, checkpoints are taken, abandoned, committed or lost, and the process dies at every step there is.
    [Fact]
    public async Task Staged_CrashAtAnyStep_LosesAndDoublesNothing()
    {
        for (var seed = 0; seed < 120; seed++)
        {
            using var folder = new TempFolder();
            await RunAsync(folder, new Random(seed));
        }
    }

    private static async Task RunAsync(TempFolder folder, Random random)
    {
        const long All = 60;
        (long Next, byte[]? State)? durable = null; // the newest checkpoint: where the source goes on, and the sink's state
        (long Next, byte[]? State)? older = null;
        while (true)
        {
            var stage = new Stage(folder.Path) { Checkpoints = true };
            var sink = await stage.SetUpAsync(Jsonl());
            var next = 0L;
            if (durable is { } from)
            {
                next = from.Next;
                await Stage.RestoreAsync(sink, from.State!);
                if (random.Next(2) == 0)
                {
                    await sink.CommitAsync(default);
                }

                // Whatever happened before, the file holds what the checkpoint committed.
                Lines(folder).ShouldBe(Expected(next));
            }

            var steps = random.Next(1, 30);
            while (steps-- > 0 && next < All)
            {
                await sink.HandleAsync(0, Item(next++), s_none, default);
                if (random.Next(4) != 0)
                {
                    continue;
                }

                await sink.FlushAsync(false, s_none, default);
                if (random.Next(6) == 0)
                {
                    continue; // abandoned before the snapshot
                }

                var state = await Stage.SnapshotAsync(sink);
                if (random.Next(6) == 0)
                {
                    continue; // the store was away: no manifest
                }

                older = durable;
                durable = (next, state);
                if (random.Next(6) == 0)
                {
                    break; // died between manifest and commit
                }

                await sink.CommitAsync(default);
                Lines(folder).ShouldBe(Expected(next));
            }

            if (next == All)
            {
                await sink.FlushAsync(true, s_none, default);
                await Stage.SnapshotAsync(sink);
                await sink.CommitAsync(default);
                Lines(folder).ShouldBe(Expected(All));
                await stage.DisposeAsync();
                return;
            }

            // Died: nothing is cleaned up. Now and then the newest checkpoint turns out damaged.
            if (older is not null && random.Next(10) == 0)
            {
                durable = older;
            }
        }
    }

    [Fact]
    public async Task Staged_CopyCutInTheMiddle_IsDoneAgain()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path) { Checkpoints = true };
        var sink = await stage.SetUpAsync(Jsonl());
        for (var n = 0; n < 10; n++)
        {
            await sink.HandleAsync(0, Item(n), s_none, default);
        }

        await sink.FlushAsync(false, s_none, default);
        var state = await Stage.SnapshotAsync(sink);
        // The commit died after half of the copy.
        await File.WriteAllTextAsync(folder["out/out.jsonl"], "{\"n\":0}\n{\"n\":1}\n{\"n");
        var again = await stage.SetUpAsync(Jsonl());
        await Stage.RestoreAsync(again, state!);
        Lines(folder).ShouldBe(Expected(10));
    }

    [Fact]
    public async Task Staged_ComponentRestartedAlone_GoesOnWithWhatItHeld()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path) { Checkpoints = true };
        var sink = await stage.SetUpAsync(Jsonl());
        await sink.HandleAsync(0, Item(0), s_none, default);
        await sink.HandleAsync(0, Item(1), s_none, default);
        var memory = await Stage.SnapshotAsync(sink); // no flush: nothing was sealed
        var again = await stage.SetUpAsync(Jsonl());
        await Stage.RestoreAsync(again, memory!);
        Lines(folder).ShouldBeEmpty();
        await again.HandleAsync(0, Item(2), s_none, default);
        await again.FlushAsync(false, s_none, default);
        await Stage.SnapshotAsync(again);
        await again.CommitAsync(default);
        Lines(folder).ShouldBe(Expected(3));
    }

    [Fact]
    public async Task Plain_WithoutCheckpoints_WritesAtTicksAndAtTheEnd()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        Directory.CreateDirectory(folder["out"]);
        await File.WriteAllTextAsync(folder["out/out.jsonl"], "{\"old\":1}\n{\"cut");
        var sink = await stage.SetUpAsync(Jsonl());
        sink.Tick.ShouldBe(TimeSpan.FromSeconds(1));
        await sink.HandleAsync(0, Item(0), s_none, default);
        await sink.OnTickAsync(default, s_none, default);
        Lines(folder).ShouldBe(["{\"old\":1}", "{\"cut", "{\"n\":0}"]);
        await sink.HandleAsync(0, Item(1, mock: true), s_none, default);
        await sink.FlushAsync(true, s_none, default);
        Lines(folder)[^1].ShouldBe("""{"n":1,"mock":true}""");
    }

    [Fact]
    public async Task Jsonl_EventFormat_TellsIdKeyAndMock()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var sink = await stage.SetUpAsync(Jsonl(new JsonlOutOptions { Path = "out/out.jsonl", Format = EventFormat.Event, Existing = ExistingFile.Replace }));
        await sink.HandleAsync(0, Item(4, mock: true).WithKey("k").WithTime(DateTimeOffset.UnixEpoch), s_none, default);
        await sink.HandleAsync(0, new Event<JsonElement>(EventId.Root("in:0", 5), JsonElement.Parse("[1,\n 2]")), s_none, default);
        await sink.FlushAsync(true, s_none, default);
        Lines(folder).ShouldBe(["""{"id":"in:0:4","key":"k","time":"1970-01-01T00:00:00+00:00","mock":true,"data":{"n":4}}""", """{"id":"in:0:5","data":[1,2]}"""]);
    }

    [Fact]
    public async Task Csv_ResumedRun_GoesOnWithTheColumnsOfTheFile()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        await WriteCsvAsync(stage, """{"a":"x, \"y\"","b":1,"c":null}""");
        await WriteCsvAsync(stage, """{"c":[1,2],"a":"","mock":true}""");
        (await File.ReadAllTextAsync(folder["out.csv"])).ShouldBe("a,b,c,mock\n\"x, \"\"y\"\"\",1,,false\n\"\",,\"[1,2]\",true\n");
        await Should.ThrowAsync<ItemException>(() => WriteCsvAsync(stage, "1"));
    }

    private static async Task WriteCsvAsync(Stage stage, string json)
    {
        var sink = await stage.SetUpAsync(new CsvSink(new CsvOutOptions { Path = "out.csv" }, NullLogger<CsvSink>.Instance));
        await sink.HandleAsync(0, new Event<JsonElement>(EventId.Root("in:0", 0), JsonElement.Parse(json)), s_none, default);
        await sink.FlushAsync(true, s_none, default);
    }

    private static string[] Expected(long count) => [.. Enumerable.Range(0, (int)count).Select(n => $$"""{"n":{{n}}}""")];

    private static string[] Lines(TempFolder folder) => File.Exists(folder["out/out.jsonl"]) ? File.ReadAllLines(folder["out/out.jsonl"]) : [];
}
