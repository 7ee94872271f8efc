using System.Text;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sources;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

public class FileSourceTests
{
    private static JsonlSource Jsonl(JsonlOptions options) => new(options, NullLogger<JsonlSource>.Instance);

    private static CsvSource Csv(CsvOptions options) => new(options, NullLogger<CsvSource>.Instance);

    private static DirWatchSource Watch(DirWatchOptions options) => new(options, NullLogger<DirWatchSource>.Instance);

    [Fact]
    public async Task Jsonl_ResumedAnywhere_ReadsTheRestWithTheSameIds()
    {
        using var folder = new TempFolder();
        var lines = Enumerable.Range(0, 5000).Select(i => $$"""{"n":{{i}},"text":"{{new string('x', i % 300)}}é"}""").ToArray();
        await File.WriteAllTextAsync(folder["in.jsonl"], '\uFEFF' + string.Join("\r\n", lines)); // a mark before, no end behind
        await using var stage = new Stage(folder.Path);
        var all = await Stage.ReadAsync(await stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "in.jsonl" })));
        all.Select(r => r.Data.GetRawText()).ShouldBe(lines);
        all.ShouldAllBe(r => r.Partition == "in.jsonl");
        foreach (var cut in new[] { 1, 17, 2500, 4999, 5000 })
        {
            var resumed = await stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "in.jsonl" }));
            await resumed.SeekAsync(Stage.Offsets(all.Take(cut)), default);
            var rest = await Stage.ReadAsync(resumed);
            rest.Select(r => (r.Offset, r.Data.GetRawText())).ShouldBe(all.Skip(cut).Select(r => (r.Offset, r.Data.GetRawText())));
        }
    }

    [Fact]
    public async Task Lag_OfEachSourceThatCanTell_IsWhatIsLeftAndNothingAtTheEnd()
    {
        using var folder = new TempFolder();
        var large = string.Concat(Enumerable.Range(0, 60_000).Select(n => $"{n:D9}\n"));
        foreach (var name in new[] { "a.jsonl", "b.jsonl" })
        {
            await File.WriteAllTextAsync(folder[name], string.Concat(Enumerable.Range(0, 60_000).Select(n => $"{n:D9}\n").Select(l => "1" + l)));
        }

        foreach (var name in new[] { "a.csv", "b.csv" })
        {
            await File.WriteAllTextAsync(folder[name], "n\n" + large);
        }

        using (var database = new SqliteConnection($"Data Source={folder["in.db"]};Pooling=False"))
        {
            database.Open();
            Run(database, "CREATE TABLE docs (id INTEGER PRIMARY KEY)");
            Run(database, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO docs SELECT i FROM n");
        }

        await LeftAsync(folder, Jsonl(new JsonlOptions { Path = "*.jsonl" }), "behind_bytes", 660_000, 1_320_000);
        await LeftAsync(folder, Csv(new CsvOptions { Path = "*.csv" }), "behind_bytes", 600_000, 1_200_004);
        await LeftAsync(folder, new FilesSource(new FilesOptions { Path = "*.csv" }, NullLogger<FilesSource>.Instance), "behind_files", 1, 1);
        await LeftAsync(folder, Watch(new DirWatchOptions { Path = ".", Glob = "*.csv", SettleMs = TimeSpan.Zero, Once = true }), "behind_files", 1, 1);
        await LeftAsync(folder, new SqliteSource(new SqliteInOptions { Path = "in.db", Query = "SELECT * FROM docs" }), "behind_rows", 4000, 4000);
        await LeftAsync(folder, new GenerateSource(new GenerateOptions { Count = 10 }), "behind_events", 10, 10);
    }

    private static async Task LeftAsync(TempFolder folder, Source<System.Text.Json.JsonElement> source, string gauge, double least, double most)
    {
        await using var stage = new Stage(folder.Path);
        await stage.SetUpAsync(source);
        await Stage.ReadAsync(source, most: 1);
        stage.Gauges[gauge].ShouldBeInRange(least, most, source.GetType().Name);
        await Stage.ReadAsync(source);
        stage.Gauges[gauge].ShouldBe(0, source.GetType().Name);
    }

    [Fact]
    public async Task Jsonl_BadLines_GoWhereTheRuleSays()
    {
        using var folder = new TempFolder();
        await File.WriteAllBytesAsync(folder["in.jsonl"], [.. "1\n{bad\n\n"u8, (byte)'"', 0xFF, (byte)'"', .. "\n2\n[3\n4"u8]);
        await using var stage = new Stage(folder.Path);
        var skips = await Stage.ReadAsync(await stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "in.jsonl", OnBadLine = BadLine.Skip })));
        skips.Select(r => r.Data.GetRawText()).ShouldBe(["1", "2", "4"]);
        stage.Counters["bad_lines"].ShouldBe(3);

        var source = await stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "in.jsonl" }));
        var all = await Stage.ReadAsync(source);
        all.Where(r => r.Error is not null).Select(r => r.Data.GetString()).ShouldBe(["{bad", "\"\uFFFD\"", "[3"]);
        var seen = all.Select(r => r.Error?.Code ?? r.Data.GetRawText());
        seen.ShouldBe(["1", "bad_line", "bad_line", "2", "bad_line", "4"]);
        var fails = await stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "in.jsonl", OnBadLine = BadLine.Fail }));
        await Should.ThrowAsync<InvalidDataException>(() => Stage.ReadAsync(fails));
    }

    [Fact]
    public async Task Jsonl_LineTooLong_IsLeftOutWithoutBeingHeld()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["in.jsonl"], $"1\n\"{new string('x', 3_000_000)}\"\n\"{new string('y', 998)}\"\r\n2");
        await using var stage = new Stage(folder.Path);
        var all = await Stage.ReadAsync(await stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "in.jsonl", OnBadLine = BadLine.Skip, MaxLineBytes = 1000 })));
        all.Select(r => r.Data.GetRawText().Length).ShouldBe([1, 1000, 1]);
        all[2].Offset.ShouldBe(2 + 3_000_003 + 1002);
    }

    [Fact]
    public async Task Jsonl_Pattern_ReadsFilesInOrderOfTheirNames()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["d/e"]);
        await File.WriteAllTextAsync(folder["d/b.jsonl"], "2\n");
        await File.WriteAllTextAsync(folder["d/a.jsonl"], "1");
        await File.WriteAllTextAsync(folder["d/e/c.jsonl"], "3\n");
        await File.WriteAllTextAsync(folder["d/other.txt"], "4\n");
        await using var stage = new Stage(folder.Path);
        var all = await Stage.ReadAsync(await stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "d/**/*.jsonl" })));
        all.Select(r => (r.Partition, r.Data.GetRawText())).ShouldBe([("d/a.jsonl", "1"), ("d/b.jsonl", "2"), ("d/e/c.jsonl", "3")]);
        await Should.ThrowAsync<FileNotFoundException>(() => stage.SetUpAsync(Jsonl(new JsonlOptions { Path = "none.jsonl" })));
    }

    [Fact]
    public async Task Csv_ResumedAnywhere_ReadsTheRest()
    {
        using var folder = new TempFolder();
        var text = new StringBuilder("id,name,amount,ok\r\n");
        for (var i = 0; i < 3000; i++)
        {
            text.Append($"{i},\"name, \"\"{i}\"\"\nsecond line\",{i}.5,{(i % 2 == 0 ? "yes" : "no")}\r\n");
        }

        await File.WriteAllTextAsync(folder["in.csv"], text.ToString());
        await using var stage = new Stage(folder.Path);
        var options = new CsvOptions { Path = "in.csv", Types = new Dictionary<string, CsvType> { ["id"] = CsvType.Int, ["amount"] = CsvType.Float, ["ok"] = CsvType.Bool } };
        var all = await Stage.ReadAsync(await stage.SetUpAsync(Csv(options)));
        all.Count.ShouldBe(3000);
        all[2].Data.GetRawText().ShouldBe("""{"id":2,"name":"name, \"2\"\nsecond line","amount":2.5,"ok":true}""");
        var resumed = await stage.SetUpAsync(Csv(options));
        await resumed.SeekAsync(Stage.Offsets(all.Take(1234)), default);
        (await Stage.ReadAsync(resumed)).Select(r => r.Data.GetRawText()).ShouldBe(all.Skip(1234).Select(r => r.Data.GetRawText()));
    }

    [Fact]
    public async Task Csv_RecordsThatDoNotFit_AreBadLines()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["in.csv"], "a,b\n1,2\n1\n\nx,2\n\"3\"y,4\n5,6");
        await using var stage = new Stage(folder.Path);
        var options = new CsvOptions { Path = "in.csv", OnBadLine = BadLine.Skip, DefaultType = CsvType.Int };
        var all = await Stage.ReadAsync(await stage.SetUpAsync(Csv(options)));
        all.Select(r => r.Data.GetRawText()).ShouldBe(["""{"a":1,"b":2}""", """{"a":5,"b":6}"""]);
        stage.Counters["bad_lines"].ShouldBe(3);
    }

    [Fact]
    public async Task Csv_AutoWithoutHeader_TellsNumbersFromCodes()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["in.csv"], "1;1.5;007;true;\"5\";;text\n");
        await using var stage = new Stage(folder.Path);
        var options = new CsvOptions { Path = "in.csv", Header = false, Delimiter = ";", DefaultType = CsvType.Auto };
        var all = await Stage.ReadAsync(await stage.SetUpAsync(Csv(options)));
        all.Single().Data.GetRawText().ShouldBe("""{"column_1":1,"column_2":1.5,"column_3":"007","column_4":true,"column_5":"5","column_6":null,"column_7":"text"}""");
    }

    [Fact]
    public async Task Files_Resumed_LeavesOutWhatWasRead()
    {
        using var folder = new TempFolder();
        await File.WriteAllTextAsync(folder["b.md"], "beta");
        await File.WriteAllTextAsync(folder["a.md"], "alpha");
        await using var stage = new Stage(folder.Path);
        var options = new FilesOptions { Path = "*.md" };
        var all = await Stage.ReadAsync(await stage.SetUpAsync(new FilesSource(options, NullLogger<FilesSource>.Instance)));
        all.Select(r => (r.Partition, r.Data.GetProperty("text").GetString())).ShouldBe([("a.md", "alpha"), ("b.md", "beta")]);
        var resumed = await stage.SetUpAsync(new FilesSource(options, NullLogger<FilesSource>.Instance));
        await resumed.SeekAsync(Stage.Offsets(all.Take(1)), default);
        (await Stage.ReadAsync(resumed)).Single().Partition.ShouldBe("b.md");
    }

    [Fact]
    public async Task DirWatch_NewChangedAndKnownFiles_AreToldApart()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["docs/sub"]);
        await File.WriteAllTextAsync(folder["docs/a.md"], "one");
        await using var stage = new Stage(folder.Path);
        var options = new DirWatchOptions { Path = "docs", Glob = "**/*.md", SettleMs = TimeSpan.FromMilliseconds(20), Rescan = TimeSpan.FromMilliseconds(200) };
        var source = await stage.SetUpAsync(Watch(options));
        var first = await Stage.ReadAsync(source, 1);
        first[0].Data.GetProperty("path").GetString().ShouldBe("docs/a.md");
        await SaveAsync("docs/sub/b.md", "two");
        await File.WriteAllTextAsync(folder["docs/sub/c.txt"], "no");
        var second = await Stage.ReadAsync(source, 1);
        second[0].Data.GetProperty("text").GetString().ShouldBe("two");
        await SaveAsync("docs/a.md", "three");
        var third = await Stage.ReadAsync(source, 1);
        third[0].Data.GetProperty("text").GetString().ShouldBe("three");
        third[0].Offset.ShouldNotBe(first[0].Offset);
        await source.CleanupAsync(new CleanupContext(null), default);

        var resumed = await stage.SetUpAsync(Watch(options with { Once = true }));
        await resumed.SeekAsync(Stage.Offsets([.. first, .. second, .. third]), default);
        (await Stage.ReadAsync(resumed)).ShouldBeEmpty();

        // Whole from the start: a writer that is held up for longer than a file takes to settle would show it empty first.
        async Task SaveAsync(string file, string text)
        {
            await File.WriteAllTextAsync(folder["beside"], text);
            File.Move(folder["beside"], folder[file], overwrite: true);
        }
    }

    [Fact]
    public async Task DirWatch_Acknowledged_MovesTheFileUnlessItChanged()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["in"]);
        await File.WriteAllTextAsync(folder["in/a.txt"], "a");
        await File.WriteAllTextAsync(folder["in/b.txt"], "b");
        await using var stage = new Stage(folder.Path);
        var options = new DirWatchOptions { Path = "in", SettleMs = TimeSpan.FromMilliseconds(1), OnDone = DoneFile.Move, MoveTo = "done", Once = true };
        var all = await Stage.ReadAsync(await stage.SetUpAsync(Watch(options)));
        all.Count.ShouldBe(2);
        File.Exists(folder["in/a.txt"]).ShouldBeTrue();
        File.SetLastWriteTimeUtc(folder["in/b.txt"], DateTime.UnixEpoch);
        foreach (var read in all)
        {
            await read.Acknowledge!();
        }

        File.ReadAllText(folder["done/a.txt"]).ShouldBe("a");
        File.Exists(folder["in/a.txt"]).ShouldBeFalse();
        File.Exists(folder["in/b.txt"]).ShouldBeTrue();
    }

    [Fact]
    public async Task DirWatch_FileTooLarge_IsAnErrorOfItsOwnAndStays()
    {
        using var folder = new TempFolder();
        Directory.CreateDirectory(folder["in"]);
        await File.WriteAllTextAsync(folder["in/a.txt"], "much too long");
        await File.WriteAllTextAsync(folder["in/b.txt"], "fits");
        await using var stage = new Stage(folder.Path);
        var options = new DirWatchOptions { Path = "in", SettleMs = TimeSpan.FromMilliseconds(1), OnDone = DoneFile.Delete, Once = true, MaxBytes = 5 };
        var reads = await Stage.ReadAsync(await stage.SetUpAsync(Watch(options)));
        reads.Select(r => r.Error?.Code ?? r.Data.GetProperty("text").GetString()).ShouldBe(["file_too_large", "fits"]);
        reads[0].Data.GetProperty("size").GetInt64().ShouldBe(13);
        foreach (var acknowledge in reads.Select(r => r.Acknowledge).OfType<Func<ValueTask>>())
        {
            await acknowledge();
        }

        Directory.GetFiles(folder["in"]).ShouldBe([folder["in/a.txt"]]);

        // The next run tries again what it did not get, and takes nothing away at its start.
        var again = await stage.SetUpAsync(Watch(options with { MaxBytes = 20 }));
        await again.SeekAsync(Stage.Offsets(reads), default);
        (await Stage.ReadAsync(again)).Single().Data.GetProperty("text").GetString().ShouldBe("much too long");
    }

    [Fact]
    public async Task Sqlite_Rows_ComeInOrderOfTheCursorAndOnce()
    {
        using var folder = new TempFolder();
        using var database = new SqliteConnection($"Data Source={folder["in.db"]};Pooling=False");
        database.Open();
        Run(database, "CREATE TABLE docs (id INTEGER PRIMARY KEY, text TEXT, score REAL, raw BLOB); INSERT INTO docs VALUES (3,'c',1.5,x'0102'),(1,'a',NULL,NULL),(2,'b',2,NULL)");
        await using var stage = new Stage(folder.Path);
        var options = new SqliteInOptions { Path = "in.db", Query = "SELECT * FROM docs WHERE text <> 'x'", PageRows = 2 };
        var all = await Stage.ReadAsync(await stage.SetUpAsync(new SqliteSource(options)));
        all.Select(r => r.Data.GetRawText()).ShouldBe(
            ["""{"id":1,"text":"a","score":null,"raw":null}""", """{"id":2,"text":"b","score":2,"raw":null}""", """{"id":3,"text":"c","score":1.5,"raw":"AQI="}"""]);
        Run(database, "INSERT INTO docs VALUES (10,'new',0,NULL)");
        var resumed = await stage.SetUpAsync(new SqliteSource(options));
        await resumed.SeekAsync(Stage.Offsets(all), default);
        (await Stage.ReadAsync(resumed)).Single().Offset.ShouldBe(10);
    }

    private static void Run(SqliteConnection database, string sql)
    {
        using var command = database.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }
}
