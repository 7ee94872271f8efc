using System.Text;
using Loom.Core.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Storage;

public sealed class JournalTests
{
    [Fact]
    public async Task Append_Records_AreReadBackInOrderAndTheChainGoesOn()
    {
        var disk = new MemoryJournalDisk();
        await WriteAsync(disk, "one", "two");
        await WriteAsync(disk, "three");

        var (records, report) = Read(disk);

        records.ShouldBe(["one", "two", "three"]);
        report.ShouldBe(new JournalReport(3, disk.File.Bytes.Length, 0, null, 0));
    }

    [Fact]
    public async Task Append_ManyWhileTheDiskIsBusy_ShareOneFlush()
    {
        var disk = new MemoryJournalDisk();
        using var busy = new ManualResetEventSlim();
        using var flushing = new ManualResetEventSlim();
        disk.File.OnFlush = () =>
        {
            flushing.Set();
            busy.Wait();
        };
        await using var journal = Open(disk, []);
        var first = journal.AppendAsync(Bytes("first"));
        flushing.Wait(TestContext.Current.CancellationToken);

        var others = Enumerable.Range(0, 100).Select(i => journal.AppendAsync(Bytes($"r{i}"))).ToArray();
        first.IsCompleted.ShouldBeFalse();
        busy.Set();
        await Task.WhenAll([first, .. others]);

        disk.Flushes.ShouldBe(2);
        Read(disk).Records.Count.ShouldBe(101);
    }

    [Fact]
    public async Task Append_Written_IsToldBeforeTheNextSnapshotIsTaken()
    {
        var disk = new MemoryJournalDisk();
        await using var journal = Open(disk, []);
        var known = new List<string>();

        var append = journal.AppendAsync(Bytes("one"), () => known.Add("one"));
        await journal.CompactAsync(() => known.Select(k => (ReadOnlyMemory<byte>)Bytes(k)));
        await append;

        Read(disk).Records.ShouldBe(["one"]);
    }

    [Fact]
    public async Task Compact_SnapshotThrows_OldContentStandsAndAppendsGoOn()
    {
        var disk = new MemoryJournalDisk();
        await using var journal = Open(disk, []);
        await journal.AppendAsync(Bytes("one"));

        await Should.ThrowAsync<InvalidOperationException>(journal.CompactAsync(static () => throw new InvalidOperationException("no snapshot")));
        await journal.AppendAsync(Bytes("two")).WaitAsync(TimeSpan.FromSeconds(180), TestContext.Current.CancellationToken);

        Read(disk).Records.ShouldBe(["one", "two"]);
    }

    [Fact]
    public async Task Open_TailTornAtEveryByte_KeepsWhatWasAcknowledged()
    {
        var whole = new MemoryJournalDisk();
        await WriteAsync(whole, "one", "two");
        var acknowledged = whole.File.Bytes.Length;
        await WriteAsync(whole, "three three three", "four");
        var bytes = whole.File.Bytes;
        var third = Array.IndexOf(bytes, (byte)'\n', acknowledged) + 1;

        for (var cut = 0; cut < bytes.Length; cut++)
        {
            var torn = new MemoryJournalDisk();
            torn.File.Bytes = bytes[..cut];

            var (records, report) = Read(torn);

            var lines = bytes[..cut].Count(b => b == '\n');
            report.BrokenAt.ShouldBeNull($"cut at {cut}");
            records.ShouldBe(new[] { "one", "two", "three three three", "four" }.Take(Math.Max(0, lines - 1)), $"cut at {cut}");
            report.Records.ShouldBe(records.Count);
            (report.Length + report.TornBytes).ShouldBe(cut);
            if (cut >= acknowledged && cut < third)
            {
                report.Length.ShouldBe(acknowledged);
            }

            await WriteAsync(torn, "after");
            Read(torn).Records.ShouldBe([.. records, "after"], $"cut at {cut}");
        }
    }

    [Fact]
    public async Task Open_TailOfZeros_IsTorn()
    {
        var disk = new MemoryJournalDisk();
        await WriteAsync(disk, "one");
        var good = disk.File.Bytes.Length;
        disk.File.Bytes = [.. disk.File.Bytes, .. new byte[4096], (byte)'\n', .. new byte[10]];

        Read(disk).Report.ShouldBe(new JournalReport(1, good, 4107, null, 0));
    }

    [Fact]
    public async Task Open_EveryByteChanged_IsNeverReadAsGood()
    {
        var whole = new MemoryJournalDisk();
        await WriteAsync(whole, "one", "two", "three");
        var bytes = whole.File.Bytes;
        var starts = Enumerable.Range(0, bytes.Length).Where(i => i == 0 || bytes[i - 1] == '\n').ToArray();

        for (var i = 0; i < bytes.Length; i++)
        {
            var damaged = new MemoryJournalDisk();
            damaged.File.Bytes = [.. bytes];
            damaged.File.Bytes[i] ^= 1;
            var seen = new List<string>();

            JournalReport report;
            try
            {
                await using var journal = Journal.Open("test", damaged, r => seen.Add(Encoding.UTF8.GetString(r)), NullLogger.Instance, out report);
            }
            catch (JournalBrokenException e)
            {
                report = e.Report;
                report.BrokenAt.ShouldBe(starts.Last(s => s <= i), $"byte {i}");
                report.BrokenLine.ShouldBe(Array.IndexOf(starts, (int)report.BrokenAt!.Value) + 1);
            }

            var lines = starts.Count(s => s <= i) - 1;
            seen.ShouldBe(new[] { "one", "two", "three" }.Take(lines - 1), $"byte {i}");
            // The last line or two may look like a cut-off write; anything before them cannot.
            if (i < starts[2])
            {
                report.BrokenAt.ShouldNotBeNull($"byte {i}");
            }
        }
    }

    [Fact]
    public async Task Open_RecordRemovedOrMoved_NamesItsPosition()
    {
        var disk = new MemoryJournalDisk();
        await WriteAsync(disk, "one", "two", "three");
        var lines = Encoding.UTF8.GetString(disk.File.Bytes).Split('\n')[..^1];
        disk.File.Bytes = Encoding.UTF8.GetBytes(string.Concat(lines[0] + "\n", lines[2] + "\n", lines[3] + "\n"));

        var broken = Should.Throw<JournalBrokenException>(() => Open(disk, []));

        broken.Report.BrokenLine.ShouldBe(2);
        broken.Report.BrokenAt.ShouldBe(lines[0].Length + 1);
        broken.Report.Records.ShouldBe(0);
        broken.Message.ShouldContain($"byte {lines[0].Length + 1}, line 2");
    }

    [Fact]
    public async Task Append_DiskFull_FailsThatBatchAloneAndWorksAgainLater()
    {
        var disk = new MemoryJournalDisk();
        await using var journal = Open(disk, []);
        await journal.AppendAsync(Bytes("one"));
        disk.Room = disk.File.Bytes.Length + 20;

        var full = await Should.ThrowAsync<DiskFullException>(() => journal.AppendAsync(Bytes("two")));
        full.Message.ShouldContain("is full");
        disk.Room = int.MaxValue;
        await journal.AppendAsync(Bytes("three"));

        Read(disk).Records.ShouldBe(["one", "three"]);
    }

    [Fact]
    public async Task Compact_Snapshot_ReplacesTheContentAndChainsToTheOldEnd()
    {
        var disk = new MemoryJournalDisk();
        await using var journal = Open(disk, []);
        for (var i = 0; i < 50; i++)
        {
            await journal.AppendAsync(Bytes($"record {i}"));
        }

        var before = journal.Length;
        await journal.CompactAsync(() => [Bytes("kept")]);
        await journal.AppendAsync(Bytes("after"));

        journal.Length.ShouldBeLessThan(before);
        journal.Length.ShouldBe(disk.File.Bytes.Length);
        Read(disk).Records.ShouldBe(["kept", "after"]);
        Encoding.UTF8.GetString(disk.File.Bytes).ShouldContain("\"generation\":2,\"previous\":\"");
    }

    [Fact]
    public async Task Compact_DiskFull_KeepsTheOldContent()
    {
        var disk = new MemoryJournalDisk();
        await using var journal = Open(disk, []);
        await journal.AppendAsync(Bytes("one"));
        disk.Room = 60;

        await Should.ThrowAsync<DiskFullException>(() => journal.CompactAsync(() => [Bytes("a longer record than fits")]));
        disk.Room = int.MaxValue;
        await journal.AppendAsync(Bytes("two"));

        Read(disk).Records.ShouldBe(["one", "two"]);
    }

    [Fact]
    public async Task Append_LineFeed_IsRefused()
    {
        await using var journal = Open(new MemoryJournalDisk(), []);

        await Should.ThrowAsync<ArgumentException>(() => journal.AppendAsync(Bytes("a\nb")));
    }

    [Fact]
    public async Task Append_AfterDisposal_Fails()
    {
        var journal = Open(new MemoryJournalDisk(), []);
        await journal.DisposeAsync();

        await Should.ThrowAsync<ObjectDisposedException>(() => journal.AppendAsync(Bytes("a")));
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    private static Journal Open(MemoryJournalDisk disk, List<string> seen) =>
        Journal.Open("test", disk, r => seen.Add(Encoding.UTF8.GetString(r)), NullLogger.Instance, out _);

    private static async Task WriteAsync(MemoryJournalDisk disk, params string[] records)
    {
        await using var journal = Open(disk, []);
        foreach (var record in records)
        {
            await journal.AppendAsync(Bytes(record));
        }
    }

    private static (List<string> Records, JournalReport Report) Read(MemoryJournalDisk disk)
    {
        var seen = new List<string>();
        var report = new JournalReader(r => seen.Add(Encoding.UTF8.GetString(r))).Read(new MemoryStream(disk.File.Bytes));
        return (seen, report);
    }
}
