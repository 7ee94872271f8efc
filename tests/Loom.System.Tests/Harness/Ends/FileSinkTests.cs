using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sinks;
using Loom.Harness.Expressions;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

public class FileSinkTests
{
    private static readonly Emitter<JsonElement> s_none = new();

    private static readonly FileOutOptions s_options = new() { Path = Template.Compile("out/{{ $.id }}.txt"), Content = Template.Compile("{{ $.text }}") };

    private static Event<JsonElement> Item(int n, string id, string text) =>
        new(EventId.Root("in:0", n), JsonElement.Parse(JsonSerializer.Serialize(new Dictionary<string, string> { ["id"] = id, ["text"] = text })));

    private static string Shown(TempFolder folder) => !Directory.Exists(folder["out"])
        ? ""
        : string.Join(' ', Directory.GetFiles(folder["out"]).Order().Select(f => $"{Path.GetFileNameWithoutExtension(f)}={File.ReadAllText(f)}"));

    [Fact]
    public async Task Files_WithoutCheckpoints_AppearOneByOne()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var sink = await stage.SetUpAsync(new FileSink(s_options));
        await sink.HandleAsync(0, Item(0, "a", "1"), s_none, default);
        await sink.HandleAsync(0, Item(1, "a", "2"), s_none, default);
        Shown(folder).ShouldBe("a=2");
        foreach (var id in new[] { "../../x", "/etc/x", "" })
        {
            var refused = await Record.ExceptionAsync(async () => await sink.HandleAsync(0, Item(2, id, "no"), s_none, default));
            (refused as ItemException)?.Class.ShouldBe(ErrorClass.Permanent);
        }

        Directory.GetFiles(folder["out"]).Length.ShouldBeLessThanOrEqualTo(2);
    }

    [Fact]
    public async Task Files_WithCheckpoints_AppearAtTheCommitThroughEveryCrash()
    {
        for (var seed = 0; seed < 40; seed++)
        {
            using var folder = new TempFolder();
            await RunAsync(folder, new Random(seed));
        }
    }

    // Event n writes file n % 7, so files are replaced across checkpoints.
    private static async Task RunAsync(TempFolder folder, Random random)
    {
        const int All = 40;
        (int Next, byte[] State)? durable = null;
        while (true)
        {
            var stage = new Stage(folder.Path) { Checkpoints = true };
            var sink = await stage.SetUpAsync(new FileSink(s_options));
            var next = 0;
            if (durable is { } from)
            {
                next = from.Next;
                await Stage.RestoreAsync(sink, from.State);
                Shown(folder).ShouldBe(Expected(next));
            }

            for (var steps = random.Next(1, 20); steps > 0 && next < All; steps--)
            {
                await sink.HandleAsync(0, Item(next, $"f{next % 7}", $"{next}"), s_none, default);
                next++;
                if (random.Next(4) != 0)
                {
                    continue;
                }

                await sink.FlushAsync(false, s_none, default);
                durable = (next, (await Stage.SnapshotAsync(sink))!);
                if (random.Next(5) == 0)
                {
                    break;
                }

                await sink.CommitAsync(default);
                Shown(folder).ShouldBe(Expected(next));
            }

            if (next == All)
            {
                await sink.FlushAsync(true, s_none, default);
                await Stage.SnapshotAsync(sink);
                await sink.CommitAsync(default);
                Shown(folder).ShouldBe(Expected(All));
                return;
            }
        }
    }

    private static string Expected(int count) => string.Join(
        ' ', Enumerable.Range(0, count).GroupBy(n => n % 7).Select(g => $"f{g.Key}={g.Max()}").Order());
}
