using System.Buffers.Binary;
using System.Text.Json;
using Loom.Components;
using Microsoft.Data.Sqlite;

namespace Loom.Harness.Components.BuiltIns.Sinks;

/// <summary>A table rows are put into: knows its columns, makes and widens it where it may, and keeps one prepared statement for each set of columns.</summary>
internal sealed class SqliteTable(SqliteConnection database, SqliteOutOptions options) : IDisposable
{
    private const int MostStatements = 64;

    private readonly Dictionary<string, SqliteCommand> _statements = new(StringComparer.Ordinal);
    private readonly HashSet<string> _columns = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Looks at the table, and makes it where it is missing.</summary>
    /// <exception cref="ItemException">There is no such table, or it cannot tell keys apart.</exception>
    public void Prepare()
    {
        if (options.Create)
        {
            Run($"CREATE TABLE IF NOT EXISTS {Quote(options.Table)} ({Quote(options.KeyColumn)} TEXT PRIMARY KEY, \"_event\" TEXT, \"_time\" TEXT, \"_mock\" INTEGER NOT NULL DEFAULT 0)");
        }

        Look();
        if (_columns.Count == 0)
        {
            throw new ItemException("no_such_table", $"the database has no table \"{options.Table}\"; make it, or set create: true", ErrorClass.Configuration);
        }

        if (!_columns.Contains(options.KeyColumn))
        {
            var columns = string.Join(", ", _columns);
            throw new ItemException("no_such_column", $"the table \"{options.Table}\" has no column \"{options.KeyColumn}\" for the key (columns: {columns}); set key_column", ErrorClass.Configuration);
        }
    }

    /// <summary>Which of these columns can be written; missing ones are added where that is allowed.</summary>
    public bool Has(string column)
    {
        if (_columns.Contains(column))
        {
            return true;
        }

        if (!options.Create)
        {
            return false;
        }

        Run($"ALTER TABLE {Quote(options.Table)} ADD COLUMN {Quote(column)}");
        _columns.Add(column);
        return true;
    }

    /// <summary>What was made in a transaction that was rolled back is not there.</summary>
    public void Forget()
    {
        Clear();
        Look();
    }

    /// <summary>Puts a row in, or replaces the one with its key.</summary>
    public void Put(string key, IReadOnlyList<(string Column, object Value)> row)
    {
        var shape = string.Join('\u001f', row.Select(c => c.Column));
        if (!_statements.TryGetValue(shape, out var statement))
        {
            if (_statements.Count >= MostStatements)
            {
                Clear();
            }

            _statements[shape] = statement = Statement([.. row.Select(c => c.Column)]);
        }

        statement.Parameters[0].Value = key;
        for (var i = 0; i < row.Count; i++)
        {
            statement.Parameters[i + 1].Value = row[i].Value;
        }

        statement.ExecuteNonQuery();
    }

    /// <summary>A JSON value as SQLite holds it.</summary>
    public static object ValueOf(JsonElement value, bool vector) => value.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.Undefined => DBNull.Value,
        JsonValueKind.True => 1L,
        JsonValueKind.False => 0L,
        JsonValueKind.Number => value.TryGetInt64(out var whole) ? (object)whole : value.GetDouble(),
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Array when vector => VectorOf(value),
        _ => value.GetRawText(),
    };

    public void Dispose() => Clear();

    private static byte[] VectorOf(JsonElement list)
    {
        var bytes = new byte[list.GetArrayLength() * sizeof(float)];
        var at = 0;
        foreach (var number in list.EnumerateArray())
        {
            if (number.ValueKind != JsonValueKind.Number)
            {
                throw new ItemException("bad_vector", $"a vector holds numbers, and its element {at / sizeof(float)} is {number.ValueKind.ToString().ToLowerInvariant()}");
            }

            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(at), number.GetSingle());
            at += sizeof(float);
        }

        return bytes;
    }

    private SqliteCommand Statement(string[] columns)
    {
        var command = database.CreateCommand();
        var names = string.Concat(columns.Select(c => $", {Quote(c)}"));
        var values = string.Concat(columns.Select((_, i) => $", $p{i + 1}"));
        var updates = string.Join(", ", columns.Select(c => $"{Quote(c)} = excluded.{Quote(c)}"));
        command.CommandText = $"INSERT INTO {Quote(options.Table)} ({Quote(options.KeyColumn)}{names}) VALUES ($p0{values}) ON CONFLICT ({Quote(options.KeyColumn)}) DO "
            + (columns.Length == 0 ? "NOTHING" : $"UPDATE SET {updates}");
        for (var i = 0; i <= columns.Length; i++)
        {
            command.Parameters.Add(new SqliteParameter($"$p{i}", null));
        }

        return command;
    }

    private void Look()
    {
        _columns.Clear();
        using var command = database.CreateCommand();
        command.CommandText = $"PRAGMA table_info({Quote(options.Table)})";
        using var rows = command.ExecuteReader();
        while (rows.Read())
        {
            _columns.Add(rows.GetString(1));
        }
    }

    /// <summary>Runs a statement without a result.</summary>
    public void Run(string sql)
    {
        using var command = database.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    private void Clear()
    {
        foreach (var statement in _statements.Values)
        {
            statement.Dispose();
        }

        _statements.Clear();
    }

    private static string Quote(string name) => $"\"{name.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}
