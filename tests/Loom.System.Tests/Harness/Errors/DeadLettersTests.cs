using System.Text.Json;
using Loom.Harness.Errors;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Errors;

public sealed class DeadLettersTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Take_Letters_AreReadBackInOrderFromFilesForTheirOwnerAlone()
    {
        await using var letters = Letters();
        for (var i = 0; i < 100; i++)
        {
            await letters.TakeAsync(Letter($"e{i}", i % 2 == 0 ? "even" : "odd"), default);
        }

        var files = Files();
        files.Components().ShouldBe(["even", "odd"]);
        new DeadLetterReader(files, "odd").Read().Select(l => l.Record.ErrorId).ShouldBe(Enumerable.Range(0, 50).Select(i => $"e{(2 * i) + 1}"));
        File.GetUnixFileMode(Path.Combine(files.Folder, "odd.jsonl")).ShouldBe(UnixFileMode.UserRead | UnixFileMode.UserWrite);
        letters.Taken.ShouldBe(100);
        letters.Trouble.ShouldBeNull();
    }

    [Fact]
    public async Task Take_FilesFull_WaitsSaysSoAndGoesOnOnceThereIsRoom()
    {
        await using var letters = Letters(limit: 2000);
        using var stop = new CancellationTokenSource();
        var taken = 0;
        var writing = Task.Run(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                await letters.TakeAsync(Letter($"e{i}"), stop.Token);
                taken++;
            }
        });

        await Deadline.Until(() => letters.Trouble is not null, "the files are full");
        letters.Trouble!.ShouldContain("the 10 files of dead letters of c are full");
        var files = Files(2000);
        files.Of("c").Count.ShouldBe(10);
        var before = new DeadLetterReader(files, "c").Read().Select(l => l.Record.ErrorId).ToList();
        before.ShouldBe(Enumerable.Range(0, taken).Select(i => $"e{i}"));

        await files.RemoveAsync(["c"], _ => false, default);
        await Deadline.Until(() => letters.Trouble is null, "there is room again");
        await stop.CancelAsync();
        await writing.ContinueWith(_ => { });
        var after = new DeadLetterReader(files, "c").Read().Select(l => l.Record.ErrorId).ToList();
        before.Concat(after).ShouldBe(Enumerable.Range(0, before.Count + after.Count).Select(i => $"e{i}")); // none is missing
    }

    [Fact]
    public async Task Take_AFolderInPlaceOfTheFile_WaitsSaysSoAndGoesOnOnceItIsGone()
    {
        await using var letters = Letters();
        var place = Path.Combine(_folder["dead"], "c.jsonl");
        Directory.CreateDirectory(place);
        var taking = letters.TakeAsync(Letter("e1"), default).AsTask();

        await Deadline.Until(() => letters.Trouble is not null, "the letter cannot be written");
        taking.IsCompleted.ShouldBeFalse();
        Directory.Delete(place);

        await taking.WaitAsync(TimeSpan.FromSeconds(120));
        letters.Trouble.ShouldBeNull();
        new DeadLetterReader(Files(), "c").Read().Select(l => l.Record.ErrorId).ShouldBe(["e1"]);
    }

    [Theory]
    [InlineData("../x")]
    [InlineData("/x")]
    [InlineData("..")]
    [InlineData("")]
    public async Task Remove_NameThatLeadsOutOfTheFolder_IsRefused(string component)
    {
        Directory.CreateDirectory(_folder["dead"]);
        var victim = Path.Combine(_folder.Path, "x.jsonl");
        await File.WriteAllTextAsync(victim, "");

        await Should.ThrowAsync<ArgumentException>(async () => await Files().RemoveAsync([component], _ => false, default));
        File.Exists(victim).ShouldBeTrue();
    }

    [Fact]
    public async Task Take_AfterALineWasCutOff_BothAreOnLinesOfTheirOwn()
    {
        await using var letters = Letters();
        await letters.TakeAsync(Letter("e1"), default);
        var path = Files().Of("c").Single();
        await File.AppendAllTextAsync(path, """{"error_id":"half""");
        new DeadLetterReader(Files(), "c").Read().Select(l => l.Record.ErrorId).ShouldBe(["e1"]);

        await letters.TakeAsync(Letter("e2"), default);

        var reader = new DeadLetterReader(Files(), "c");
        reader.Read().Select(l => l.Record.ErrorId).ShouldBe(["e1", "e2"]);
        reader.Damaged.ShouldBe([new DamagedLine("c.jsonl", 2, "it is cut off, or no dead letter")]);
    }

    [Fact]
    public async Task Retry_Letters_AreSentOnceToTheirPortAndTakenBack()
    {
        await using var letters = Letters();
        for (var i = 0; i < 5; i++)
        {
            await letters.TakeAsync(Letter($"e{i}"), default);
        }

        var sent = new List<string>();
        (await letters.RetryAsync("c", new HashSet<string> { "e3" }, Send, default)).ShouldBe(new RetryReport(1, 0));
        (await letters.RetryAsync(null, null, (some, ct) => Send([.. some.Where(l => l.Record.ErrorId != "e1")], ct), default)).ShouldBe(new RetryReport(3, 1));
        sent.ShouldBe(["e3", "e0", "e2", "e4"]);
        new DeadLetterReader(Files(), "c").Read().Select(l => l.Record.ErrorId).ShouldBe(["e1"]);

        // One that fails again is a new letter; this pass does not send it for ever.
        (await letters.RetryAsync("c", null, async (l, ct) => { await letters.TakeAsync(Letter("again"), ct); return await Send(l, ct); }, default)).ShouldBe(new RetryReport(1, 0));
        (await letters.RetryAsync("c", null, Send, default)).ShouldBe(new RetryReport(1, 0));
        Files().Of("c").ShouldBeEmpty(); // nothing left: no file left

        ValueTask<IReadOnlyCollection<string>> Send(IReadOnlyList<DeadLetter> some, CancellationToken ct)
        {
            some.ShouldAllBe(l => l.Record.Port == "in");
            sent.AddRange(some.Select(l => l.Record.ErrorId));
            return new([.. some.Select(l => l.Record.ErrorId)]);
        }
    }

    [Fact]
    public async Task Purge_WhileASystemWrites_LosesNothingThatCameAfter()
    {
        await using var letters = Letters();
        var writing = Task.Run(async () =>
        {
            for (var i = 0; i < 2000; i++)
            {
                await letters.TakeAsync(Letter($"e{i}"), default);
            }
        });
        while (!writing.IsCompleted)
        {
            await Files().RemoveAsync(["c"], _ => false, default);
        }

        await writing;
        await letters.TakeAsync(Letter("last"), default);
        var left = new DeadLetterReader(Files(), "c").Read().Select(l => l.Record.ErrorId).ToList();
        left[^1].ShouldBe("last");
        left[..^1].ShouldBe(Enumerable.Range(2000 - left.Count + 1, left.Count - 1).Select(i => $"e{i}"));
        letters.Trouble.ShouldBeNull();
    }

    [Fact]
    public void Sample_ThisProcess_TellsEverythingThereIs()
    {
        var sample = new ProcessResources(_folder.Path, Loom.Core.Gpus.FixedGpus.None, TimeProvider.System).Sample();
        sample.RssMb!.Value.ShouldBeGreaterThan(1);
        sample.HeapMb!.Value.ShouldBeGreaterThan(0);
        sample.OpenFds!.Value.ShouldBeGreaterThan(3);
        sample.DiskFreeMb!.Value.ShouldBeGreaterThan(0);
        sample.Threadpool!.Threads.ShouldBeGreaterThan(0);
        sample.Gpu.ShouldBeEmpty();
    }

    private DeadLetterFiles Files(long limit = DeadLetterFiles.LargestFile) => new(_folder["dead"], TimeProvider.System) { FileLimit = limit };

    private DeadLetters Letters(long limit = DeadLetterFiles.LargestFile) => new(Files(limit), TimeProvider.System, NullLogger.Instance);

    private static DeadLetter Letter(string id, string component = "c") => new(
        new ErrorRecord
        {
            ErrorId = id,
            Time = DateTimeOffset.UnixEpoch,
            System = "s",
            Version = "1.0.0",
            Component = component,
            Instance = "i",
            Port = "in",
            Event = new ErrorEvent("src:0:1", "k", DateTimeOffset.UnixEpoch),
            Attempt = 1,
            Code = "bad",
            Message = "m",
            Exceptions = [],
            Retryable = false,
            Mock = false,
        },
        new Dictionary<string, string>(),
        JsonDocument.Parse("""{"n":1}""").RootElement);
}
