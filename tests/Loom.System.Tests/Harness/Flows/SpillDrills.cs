using System.Text.Json;
using Loom.Components;
using Loom.Harness.Streams;
using Loom.Harness.Streams.Spills;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Flows;

/// <summary>Events that wait on a real disk, and what becomes of them when their bytes change or their run is killed.</summary>
public sealed class SpillDrills
{
    [Fact]
    public void Spill_OnDisk_FilesAreTheOwnersAloneAndGoWhenTheyAreRead()
    {
        using var folder = new TempFolder();
        using (var files = new DiskSpillFiles(DiskSpillFiles.FolderOf(folder.Path, 1, "a.out->b.in")))
        {
            var spill = new Spill<JsonElement>(files, 1 << 20);
            for (var i = 0; i < 3000; i++)
            {
                spill.TryAppend(Of(i)).ShouldBeTrue();
            }

            var onDisk = Directory.GetFiles(folder.Path, "*.spill", SearchOption.AllDirectories);
            onDisk.Length.ShouldBeGreaterThan(1);
            onDisk.ShouldAllBe(f => File.GetUnixFileMode(f) == (UnixFileMode.UserRead | UnixFileMode.UserWrite));
            for (var i = 0; i < 3000; i++)
            {
                spill.TryTake(out var held, out var damage).ShouldBeTrue();
                damage.ShouldBeNull();
                held.Event.Data.GetInt32().ShouldBe(i);
            }
        }

        Directory.GetFiles(folder.Path, "*", SearchOption.AllDirectories).ShouldBeEmpty();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Spill_BytesChangedOrCutOnDisk_OneFrameIsSetAsideAndNothingHangs(bool cut)
    {
        using var folder = new TempFolder();
        using var files = new DiskSpillFiles(DiskSpillFiles.FolderOf(folder.Path, 1, "a->b"));
        var spill = new Spill<JsonElement>(files, 1 << 20);
        for (var i = 0; i < 640; i++)
        {
            spill.TryAppend(Of(i)).ShouldBeTrue();
        }

        using (var file = new FileStream(Directory.GetFiles(folder.Path, "*.spill", SearchOption.AllDirectories).Single(), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            if (cut)
            {
                file.SetLength(file.Length - 10);
            }
            else
            {
                file.Position = file.Length - 10;
                var was = file.ReadByte();
                file.Position--;
                file.WriteByte((byte)(was ^ 1));
            }
        }

        var (taken, damaged) = (0, new List<SpillDamage>());
        while (spill.TryTake(out _, out var damage))
        {
            taken += damage is null ? 1 : 0;
            damaged.AddRange(damage is null ? [] : [damage]);
        }

        (taken, damaged.Count, damaged[0].Events).ShouldBe((576, 1, 64));
        File.Exists(damaged[0].KeptAt).ShouldBeTrue();
        File.GetUnixFileMode(damaged[0].KeptAt!).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
    }

    [Fact]
    public void SetAside_SameFrameOfALaterRun_KeepsBoth()
    {
        using var folder = new TempFolder();
        var kept = Enumerable.Range(0, 3).Select(run =>
        {
            using var files = new DiskSpillFiles(DiskSpillFiles.FolderOf(folder.Path, 1, "a->b"));
            files.Write(1, 0, "frame"u8);
            return files.SetAside(4, [(byte)run]).ShouldNotBeNull();
        }).ToList();
        kept.Select(File.ReadAllBytes).Select(b => (int)b.ShouldHaveSingleItem()).ShouldBe([0, 1, 2]);
        kept.ShouldAllBe(f => File.GetUnixFileMode(f) == (UnixFileMode.UserRead | UnixFileMode.UserWrite));
    }

    [Fact]
    public async Task Run_SpillingSystemAfterOneThatWasKilled_ClearsWhatWasLeftAndDeliversEverything()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["architecture.yaml"], """
            schema_version: "1.0.0"
            system: { name: spills, version: 1.0.0 }
            components:
              - { name: make, type: Source, uses: generate, config: { count: 20000 } }
              - { name: slow, type: Transformer, uses: map, config: { expr: data }, batching: { max_items: 10, max_ms: 1 }, capabilities: [ { RateLimiter: { rate: 40000, burst: 10 } } ] }
              - { name: keep, type: Sink, uses: jsonl_out, config: { path: out/all.jsonl } }
            bindings:
              - { from: make.out, to: slow.in, buffer: 16, overflow: spill, spill_bytes: 1048576 }
              - { from: slow.out, to: keep.in }
            """, TestContext.Current.CancellationToken);
        var left = folder[".loom/harness/spills/spill/1-x/000001.spill"];
        Directory.CreateDirectory(Path.GetDirectoryName(left)!);
        await File.WriteAllTextAsync(left, "of an earlier run", TestContext.Current.CancellationToken);
        var (exit, output, error) = await RunningLoom.RunAsync(folder.Path, ["harness", "run", "--unlocked", "--port", "0", "--json"]);
        exit.ShouldBe(0, output + error);
        (await File.ReadAllLinesAsync(folder["out/all.jsonl"], TestContext.Current.CancellationToken)).Length.ShouldBe(20_000);
        Directory.GetFiles(folder[".loom/harness/spills/spill"], "*", SearchOption.AllDirectories).ShouldBeEmpty();
    }

    private static Held<JsonElement> Of(int n) => new(new Event<JsonElement>(EventId.Root("s:0", n), JsonElement.Parse($"{n}")), n);
}
