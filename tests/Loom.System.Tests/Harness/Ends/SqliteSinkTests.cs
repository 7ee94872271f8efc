using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sinks;
using Loom.Harness.Expressions;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Data.Sqlite;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

public class SqliteSinkTests
{
    private static readonly Emitter<JsonElement> s_none = new();

    private static Event<JsonElement> Item(long n, string json, bool mock = false) => new(EventId.Root("in:0", n), JsonElement.Parse(json), mock: mock);

    [Fact]
    public async Task Sqlite_EventsThatComeAgain_StandOnce()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        for (var run = 0; run < 2; run++)
        {
            var sink = await stage.SetUpAsync(new SqliteSink(new SqliteOutOptions { Table = "items", CommitRows = 3 }));
            for (var n = 0; n < 10; n++)
            {
                await sink.HandleAsync(0, Item(n, $$"""{"n":{{n}},"run":{{run}},"text":"t{{n}}"}""", mock: n == 4), s_none, default);
            }

            await sink.FlushAsync(true, s_none, default);
        }

        Query(folder, "SELECT count(*), sum(run), sum(_mock), max(_key) FROM items").ShouldBe("10|10|1|in:0:9");
    }

    [Fact]
    public async Task Sqlite_KeyColumnsVectorsAndNewFields_AreStored()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var sink = await stage.SetUpAsync(new SqliteSink(new SqliteOutOptions { Path = "sub/x.db", Table = "odd \"name\"", Key = Expression.Compile("$.id") }));
        await sink.HandleAsync(0, Item(0, """{"id":7,"embedding":[1,0.5],"tags":["a"],"ok":true,"none":null}"""), s_none, default);
        await sink.HandleAsync(0, Item(1, """{"id":7,"later":2.5}"""), s_none, default);
        (await Should.ThrowAsync<ItemException>(async () => await sink.HandleAsync(0, Item(2, "1"), s_none, default))).Code.ShouldBe("no_object");
        (await Should.ThrowAsync<ItemException>(async () => await sink.HandleAsync(0, Item(3, """{"id":8,"embedding":["x"]}"""), s_none, default))).Code.ShouldBe("bad_vector");
        await sink.FlushAsync(true, s_none, default);
        Query(folder, "SELECT _key, id, hex(embedding), tags, ok, none IS NULL, later, _event FROM \"odd \"\"name\"\"\"", "sub/x.db")
            .ShouldBe("7|7|0000803F0000003F|[\"a\"]|1|1|2.5|in:0:1");
    }

    [Fact]
    public async Task Sqlite_TableOfTheUsersOwn_GetsOnlyItsColumns()
    {
        using var folder = new TempFolder();
        Query(folder, "CREATE TABLE own (id TEXT PRIMARY KEY, text TEXT NOT NULL)");
        await using var stage = new Stage(folder.Path);
        var options = new SqliteOutOptions { Table = "own", Create = false, KeyColumn = "id", Key = Expression.Compile("$.id") };
        var sink = await stage.SetUpAsync(new SqliteSink(options));
        await sink.HandleAsync(0, Item(0, """{"id":"a","text":"x","more":1}"""), s_none, default);
        var broken = await Should.ThrowAsync<ItemException>(async () => await sink.HandleAsync(0, Item(1, """{"id":"b"}"""), s_none, default));
        (broken.Code, broken.Class).ShouldBe(("constraint", ErrorClass.Permanent));
        await sink.FlushAsync(true, s_none, default);
        Query(folder, "SELECT * FROM own").ShouldBe("a|x");

        var none = await Should.ThrowAsync<ItemException>(() => stage.SetUpAsync(new SqliteSink(options with { Table = "nothing" })));
        (none.Code, none.Class).ShouldBe(("no_such_table", ErrorClass.Configuration));
        (await Should.ThrowAsync<ItemException>(() => stage.SetUpAsync(new SqliteSink(options with { KeyColumn = "key" })))).Code.ShouldBe("no_such_column");
    }

    [Fact]
    public async Task Sqlite_Batch_IsOneTransactionAndFailsMembersAlone()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var sink = await stage.SetUpAsync(new SqliteSink(new SqliteOutOptions { Table = "t" }));
        var output = new BatchEmitter<JsonElement>();
        await sink.HandleBatchAsync(Batch<JsonElement>.Of(Item(0, """{"a":1}"""), Item(1, "2"), Item(2, """{"a":3}""")), output, default);
        output.Failures.Keys.ShouldBe([1]);
        Query(folder, "SELECT sum(a) FROM t").ShouldBe("4");
    }

    [Fact]
    public async Task Sqlite_DatabaseLockedForAWhile_LosesNoRow()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var sink = await stage.SetUpAsync(new SqliteSink(new SqliteOutOptions { Table = "t", BusyMs = TimeSpan.FromMilliseconds(1) }));
        using (var other = Open(folder, "data.db"))
        {
            Run(other, "BEGIN IMMEDIATE");
            var busy = await Should.ThrowAsync<ItemException>(async () => await sink.HandleAsync(0, Item(0, """{"a":1}"""), s_none, default));
            (busy.Code, busy.Class).ShouldBe(("database_busy", ErrorClass.Transient));
            Run(other, "ROLLBACK");
        }

        await sink.HandleAsync(0, Item(0, """{"a":1}"""), s_none, default);
        await sink.FlushAsync(true, s_none, default);
        Query(folder, "SELECT count(*) FROM t").ShouldBe("1");
    }

    [Fact]
    public async Task Sqlite_TransactionGivenUpByTheDatabase_IsPutInAgain()
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var sink = await stage.SetUpAsync(new SqliteSink(new SqliteOutOptions { Table = "t" }));
        await sink.HandleAsync(0, Item(0, """{"a":1}"""), s_none, default);
        await sink.FlushAsync(false, s_none, default);
        // A trigger that rolls the whole transaction back stands for a full disk.
        using (var other = Open(folder, "data.db"))
        {
            Run(other, "CREATE TRIGGER full BEFORE INSERT ON t WHEN NEW.a = 666 BEGIN SELECT RAISE(ROLLBACK, 'full'); END");
        }

        await sink.HandleAsync(0, Item(1, """{"a":2,"b":1}"""), s_none, default);
        await sink.HandleAsync(0, Item(2, """{"a":3}"""), s_none, default);
        await Should.ThrowAsync<ItemException>(async () => await sink.HandleAsync(0, Item(3, """{"a":666}"""), s_none, default));
        await sink.HandleAsync(0, Item(4, """{"a":4}"""), s_none, default);
        await sink.FlushAsync(true, s_none, default);
        Query(folder, "SELECT group_concat(a), sum(b) FROM (SELECT * FROM t ORDER BY a)").ShouldBe("1,2,3,4|1");
    }

    private static SqliteConnection Open(TempFolder folder, string file)
    {
        var database = new SqliteConnection($"Data Source={folder[file]};Pooling=False");
        database.Open();
        return database;
    }

    private static void Run(SqliteConnection database, string sql)
    {
        using var command = database.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private static string Query(TempFolder folder, string sql, string file = "data.db")
    {
        using var database = Open(folder, file);
        using var command = database.CreateCommand();
        command.CommandText = sql;
        using var rows = command.ExecuteReader();
        return rows.Read() ? string.Join('|', Enumerable.Range(0, rows.FieldCount).Select(i => Convert.ToString(rows.GetValue(i), System.Globalization.CultureInfo.InvariantCulture))) : "";
    }
}
