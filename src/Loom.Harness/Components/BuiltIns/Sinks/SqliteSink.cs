using System.Globalization;
using System.Text.Json;
using Loom.Components;
using Microsoft.Data.Sqlite;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>One row for each event, replaced when the event comes again.</summary>
[Component("sqlite_out", Type = ComponentType.Sink, Idempotent = true,
    Summary = "Puts each event into a table of an SQLite database, by its key or its id, so that what comes twice stands there once. Vectors become BLOBs; a mock event has _mock 1.")]
internal sealed class SqliteSink(SqliteOutOptions options) : Sink<JsonElement>
{
    private readonly List<(string Column, object Value)> _row = [];
    private readonly HashSet<string> _vectors = [.. options.Vectors];
    private SqliteConnection _database = null!;
    private SqliteTable _table = null!;
    // Rows of the transaction that is open. SQLite gives up a whole transaction for some failures (a full disk); then they are put in again.
    private readonly List<(string Key, (string Column, object Value)[] Row)> _kept = [];
    // With concurrency several events come at once; a connection serves one.
    private readonly Lock _lock = new();
    private bool _open;

    /// <inheritdoc />
    protected internal override bool HandlesBatches => true;

    /// <inheritdoc />
    protected internal override TimeSpan? Tick => options.CommitMs;

    /// <inheritdoc />
    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        var path = ctx.WritePath(options.Path);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _database = ctx.Own(new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Pooling = false,
            DefaultTimeout = Math.Max(1, (int)Math.Ceiling(options.BusyMs.TotalSeconds)),
        }.ToString()));
        try
        {
            _database.Open();
            using var mode = _database.CreateCommand();
            // A reader does not hold up the writer, and a commit that has returned survives a crash of the machine.
            mode.CommandText = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;";
            mode.ExecuteNonQuery();
            _table = ctx.Own(new SqliteTable(_database, options));
            _table.Prepare();
        }
        catch (SqliteException e)
        {
            throw Failure(e);
        }

        return default;
    }

    /// <inheritdoc />
    protected override ValueTask OnItemAsync(Event<JsonElement> e, CancellationToken ct)
    {
        try
        {
            lock (_lock)
            {
                if (_kept.Count >= options.CommitRows)
                {
                    Commit();
                }

                Put(e);
            }
        }
        catch (SqliteException error)
        {
            throw Failure(error);
        }

        return default;
    }

    /// <inheritdoc />
    protected override ValueTask OnBatchAsync(Batch<JsonElement> batch, BatchEmitter<JsonElement> output, CancellationToken ct)
    {
        try
        {
            for (var i = 0; i < batch.Count; i++)
            {
                try
                {
                    Put(batch[i]);
                }
                catch (ItemException error)
                {
                    output.Fail(i, error);
                }
                catch (SqliteException error) when (ClassOf(error) == ErrorClass.Permanent)
                {
                    output.Fail(i, Failure(error));
                }
            }

            Commit();
        }
        catch (SqliteException error)
        {
            // Nothing of the batch is kept, so all of it may come again.
            Rollback();
            _kept.Clear();
            throw Failure(error);
        }

        return default;
    }

    /// <inheritdoc />
    protected internal override ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct) => FlushAsync(false, output, ct);

    /// <inheritdoc />
    protected internal override ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct)
    {
        try
        {
            lock (_lock)
            {
                Commit();
            }
        }
        catch (SqliteException e)
        {
            throw Failure(e);
        }

        return default;
    }

    private void Put(in Event<JsonElement> e)
    {
        _row.Clear();
        if (options.Columns.Count > 0)
        {
            foreach (var (column, expression) in options.Columns)
            {
                Add(column, expression.Evaluate(e));
            }
        }
        else if (e.Data.ValueKind == JsonValueKind.Object)
        {
            foreach (var field in e.Data.EnumerateObject())
            {
                if (!field.Name.Equals(options.KeyColumn, StringComparison.OrdinalIgnoreCase))
                {
                    Add(field.Name, field.Value);
                }
            }
        }
        else
        {
            throw new ItemException("no_object", $"a row is made of an object's fields, and the payload is {e.Data.ValueKind.ToString().ToLowerInvariant()}; name columns, or put a map before this sink");
        }

        var key = options.Key is { } wanted ? wanted.Key(e) : e.Id.ToString();
        Begin();
        _row.RemoveAll(c => !_table.Has(c.Column));
        Describe("_event", e.Id.ToString());
        Describe("_time", e.Time.ToString("O", CultureInfo.InvariantCulture));
        Describe("_mock", e.Mock ? 1L : 0L);
        _table.Put(key, _row);
        _kept.Add((key, [.. _row]));
    }

    private void Add(string column, JsonElement value) => _row.Add((column, SqliteTable.ValueOf(value, _vectors.Contains(column))));

    // A table of the user's own needs none of these columns.
    private void Describe(string column, object value)
    {
        if (_row.TrueForAll(c => !c.Column.Equals(column, StringComparison.OrdinalIgnoreCase)) && _table.Has(column))
        {
            _row.Add((column, value));
        }
    }

    private bool InTransaction => SQLitePCL.raw.sqlite3_get_autocommit(_database.Handle) == 0;

    private void Begin()
    {
        if (_open && InTransaction)
        {
            return;
        }

        Rollback();
        _table.Run("BEGIN IMMEDIATE");
        foreach (var (key, row) in _kept)
        {
            foreach (var (column, _) in row)
            {
                _table.Has(column);
            }

            _table.Put(key, row);
        }

        _open = true;
    }

    private void Commit()
    {
        if (_kept.Count > 0)
        {
            Begin();
        }

        if (_open && InTransaction)
        {
            _table.Run("COMMIT");
        }

        _open = false;
        _kept.Clear();
    }

    private void Rollback()
    {
        if (InTransaction)
        {
            _table.Run("ROLLBACK");
        }

        if (_open)
        {
            _table.Forget();
        }

        _open = false;
    }

    private ItemException Failure(SqliteException e)
    {
        var code = e.SqliteErrorCode switch
        {
            5 or 6 => "database_busy",
            13 => "disk_full",
            8 or 14 or 3 => "database_refused",
            19 => "constraint",
            26 or 11 => "database_damaged",
            _ when NoSuchThing(e) => "no_such_table",
            _ => "sqlite_error",
        };
        return new ItemException(code, $"{options.Path}, table \"{options.Table}\": {e.Message}", ClassOf(e), e);
    }

    private static ErrorClass ClassOf(SqliteException e) => e.SqliteErrorCode switch
    {
        // busy, locked, I/O, full, out of memory
        5 or 6 or 10 or 13 or 7 => ErrorClass.Transient,
        // may not be written, cannot be opened, no permission, no database, damaged; no such table or column, no unique index for the key
        8 or 14 or 3 or 23 or 26 or 11 => ErrorClass.Configuration,
        _ => NoSuchThing(e) ? ErrorClass.Configuration : ErrorClass.Permanent,
    };

    private static bool NoSuchThing(SqliteException e) => e.SqliteErrorCode == 1
        && (e.Message.Contains("no such table", StringComparison.Ordinal) || e.Message.Contains("has no column", StringComparison.Ordinal)
            || e.Message.Contains("no such column", StringComparison.Ordinal) || e.Message.Contains("ON CONFLICT", StringComparison.Ordinal));
}
