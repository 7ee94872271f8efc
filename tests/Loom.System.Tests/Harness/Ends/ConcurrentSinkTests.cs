using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Sinks;
using Loom.Testing;
using Loom.Testing.Harness;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Ends;

/// <summary>Sinks with concurrency: several events at once, while ticks flush.</summary>
public class ConcurrentSinkTests
{
    [Theory]
    [InlineData("jsonl")]
    [InlineData("csv")]
    [InlineData("sqlite")]
    [InlineData("stdout")]
    public async Task Sink_ManyEventsAtOnce_KeepsEach(string kind)
    {
        using var folder = new TempFolder();
        await using var stage = new Stage(folder.Path);
        var printed = new MemoryStream();
        Sink<JsonElement> sink = kind switch
        {
            "jsonl" => new JsonlSink(new JsonlOutOptions { Path = "out" }, NullLogger<JsonlSink>.Instance),
            "csv" => new CsvSink(new CsvOutOptions { Path = "out", Columns = ["n"] }, NullLogger<CsvSink>.Instance),
            "stdout" => new StdoutSink(new StdoutOptions()) { Open = () => printed },
            _ => new SqliteSink(new SqliteOutOptions { Table = "t", CommitRows = 7 }),
        };
        await stage.SetUpAsync(sink);
        var none = new Emitter<JsonElement>();
        var pad = new string('x', 500);
        var workers = Enumerable.Range(0, 4).Select(w => Task.Run(async () =>
        {
            for (var n = w; n < 4000; n += 4)
            {
                await sink.HandleAsync(0, new Event<JsonElement>(EventId.Root("in:0", n), JsonElement.Parse($$"""{"n":{{n}},"pad":"{{pad}}"}""")), none, default);
            }
        })).ToArray();
        for (var tick = 0; tick < 20; tick++)
        {
            await sink.OnTickAsync(default, none, default);
        }

        await Task.WhenAll(workers).WaitAsync(TimeSpan.FromSeconds(120));
        await sink.FlushAsync(true, none, default);
        var lines = kind switch
        {
            "jsonl" => File.ReadAllLines(folder["out"]).Select(l => JsonElement.Parse(l).GetProperty("n").GetInt32()),
            "csv" => File.ReadAllLines(folder["out"]).Skip(1).Select(l => int.Parse(l.Split(',')[0])),
            "stdout" => System.Text.Encoding.UTF8.GetString(printed.ToArray()).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonElement.Parse(l).GetProperty("n").GetInt32()),
            _ => Rows(folder["data.db"]),
        };
        lines.Order().ShouldBe(Enumerable.Range(0, 4000));
    }

    private static List<int> Rows(string path)
    {
        using var database = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={path};Pooling=False");
        database.Open();
        using var command = database.CreateCommand();
        command.CommandText = "SELECT n FROM t";
        using var rows = command.ExecuteReader();
        var found = new List<int>();
        while (rows.Read())
        {
            found.Add(rows.GetInt32(0));
        }

        return found;
    }
}
