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
    // Counting what is left may take as long as reading it: so much of it, only so often, and a twentieth of the time at most.
    private const int MostCounted = 1_000_000;
    private const int CountShare = 20;
    private static readonly TimeSpan s_countEvery = TimeSpan.FromSeconds(10);

    private readonly Queue<Read<JsonElement>> _page = new();
    private readonly PayloadWriter _payload = new();
    private SqliteConnection _database = null!;
    private TimeProvider _time = TimeProvider.System;
    private IComponentMetrics _metrics = null!;
    private long _from = options.Start;
    private long _behind;
    private long? _countedAt;
    private TimeSpan _countRest = s_countEvery;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _time = ctx.Time;
        _metrics = ctx.Metrics;
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

            TellLag(Fill());
            if (_page.Count == 0 && (!options.Follow || !await Waiting.ForAsync(options.PollMs, _time, stopping, ct).ConfigureAwait(false)))
            {
                break;
            }
        }

        return Read<JsonElement>.End;
    }

    // Rows of the page that was just read are no longer to be read.
    private void TellLag(int read)
    {
        if (read < options.PageRows)
        {
            (_behind, _countedAt) = (0, null);
        }
        else if (_countedAt is not { } at || _time.GetElapsedTime(at) >= _countRest)
        {
            var begun = _time.GetTimestamp();
            using var command = Command(MostCounted, inOrder: false);
            command.CommandText = $"SELECT count(*) FROM ({command.CommandText})";
            _behind = (long)command.ExecuteScalar()!;
            _countedAt = _time.GetTimestamp();
            var rest = _time.GetElapsedTime(begun) * CountShare;
            _countRest = rest > s_countEvery ? rest : s_countEvery;
        }
        else
        {
            _behind = Math.Max(0, _behind - read);
        }

        _metrics.Set("behind_rows", _behind);
    }

    private int Fill()
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

        return _page.Count;
    }

    private string Cursor => $"\"{options.Cursor.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";

    // From the cursor on.
    private SqliteCommand Command(int rows, bool inOrder = true)
    {
        var command = _database.CreateCommand();
        command.CommandText = $"SELECT * FROM ({options.Query.TrimEnd().TrimEnd(';')}) WHERE {Cursor} >= $from {(inOrder ? $"ORDER BY {Cursor} " : "")}LIMIT $rows";
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
