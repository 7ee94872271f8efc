using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using Loom.Components;
using Microsoft.Data.Sqlite;

namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Settings of <c>sqlite_in</c>.</summary>
internal sealed record SqliteInOptions
{
    [Description("The database, relative to the system's folder; it is opened for reading only.")]
    public required string Path { get; init; }

    [Description("A SELECT whose rows become events; its columns become fields. It is read in order of the cursor, so it needs neither ORDER BY nor LIMIT.")]
    public required string Query { get; init; }

    [Description("A column of the query that holds whole numbers of 0 or more, each once, and grows with new rows: an autoincrement key. Reading goes on behind the last one seen.")]
    public string Cursor { get; init; } = "id";

    [Description("Rows with a cursor below this one are left out.")]
    public long Start { get; init; }

    [Description("Wait for new rows when all are read, instead of ending.")]
    public bool Follow { get; init; }

    [Description("How often new rows are looked for.")]
    public TimeSpan PollMs { get; init; } = TimeSpan.FromSeconds(1);

    [Range(1, 1_000_000)]
    [Description("Rows read at once; they are held in memory.")]
    public int PageRows { get; init; } = 1000;
}

/// <summary>One event for each row of a query.</summary>
[Component("sqlite_in", Type = ComponentType.Source, Replayable = true,
    Summary = "Reads rows of an SQLite query, in order of a column that only grows. A BLOB becomes base64.")]
internal sealed class SqliteSource(SqliteInOptions options) : Source<JsonElement>
{
    private readonly Queue<Read<JsonElement>> _page = new();
    private readonly PayloadWriter _payload = new();
    private SqliteConnection _database = null!;
    private TimeProvider _time = TimeProvider.System;
    private long _from = options.Start;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _time = ctx.Time;
        var path = ctx.ReadPath(options.Path);
        if (!File.Exists(path))
        {
            throw new FileNotFoundException($"there is no database '{options.Path}' to read");
        }

        _database = ctx.Own(new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Mode = SqliteOpenMode.ReadOnly, Pooling = false }.ToString()));
        _database.Open();
        // A wrong query is told now, not at the first row.
        using var command = Command(0);
        using var none = command.ExecuteReader();
        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask SeekAsync(IReadOnlyDictionary<string, long> next, CancellationToken ct)
    {
        _from = Math.Max(options.Start, next.GetValueOrDefault("0"));
        return default;
    }

    /// <inheritdoc />
    protected internal override async ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        while (!stopping.IsCancellationRequested)
        {
            if (_page.TryDequeue(out var read))
            {
                return read;
            }

            Fill();
            if (_page.Count == 0 && (!options.Follow || !await Waiting.ForAsync(options.PollMs, _time, stopping, ct).ConfigureAwait(false)))
            {
                break;
            }
        }

        return Read<JsonElement>.End;
    }

    private void Fill()
    {
        using var command = Command(options.PageRows);
        using var rows = command.ExecuteReader();
        var cursor = rows.GetOrdinal(options.Cursor);
        while (rows.Read())
        {
            if (rows.GetValue(cursor) is not long at || at < 0)
            {
                throw new InvalidDataException($"the cursor column \"{options.Cursor}\" holds {rows.GetValue(cursor)}, which is no whole number of 0 or more; choose another column");
            }

            if (at < _from)
            {
                throw new InvalidDataException($"the cursor column \"{options.Cursor}\" holds {at} twice; reading goes on by it, so each value may stand once");
            }

            _page.Enqueue(Read<JsonElement>.Item(Row(rows), at, at + 1));
            _from = at + 1;
        }
    }

    private SqliteCommand Command(int rows)
    {
        var command = _database.CreateCommand();
        var cursor = $"\"{options.Cursor.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
        command.CommandText = $"SELECT * FROM ({options.Query.TrimEnd().TrimEnd(';')}) WHERE {cursor} >= $from ORDER BY {cursor} LIMIT $rows";
        command.Parameters.AddWithValue("$from", _from);
        command.Parameters.AddWithValue("$rows", rows);
        return command;
    }

    private JsonElement Row(SqliteDataReader row)
    {
        var json = _payload.Begin();
        for (var i = 0; i < row.FieldCount; i++)
        {
            json.WritePropertyName(row.GetName(i));
            switch (row.GetValue(i))
            {
                case long whole:
                    json.WriteNumberValue(whole);
                    break;
                case double number when double.IsFinite(number):
                    json.WriteNumberValue(number);
                    break;
                case string text:
                    json.WriteStringValue(text);
                    break;
                case byte[] bytes:
                    json.WriteBase64StringValue(bytes);
                    break;
                default:
                    json.WriteNullValue();
                    break;
            }
        }

        return _payload.End();
    }
}
