using System.Text.Json;
using Loom.Components;
using Microsoft.Data.Sqlite;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>Values under keys, each with the time it expires (ticks of UTC).</summary>
internal interface IKeyedValues
{
    JsonElement? Get(string key, long now);

    void Put(string key, JsonElement value, long expires, long now);

    void Delete(string key);
}

/// <summary>Values in memory.</summary>
internal sealed class MemoryValues(int maxKeys) : IKeyedValues
{
    private readonly Dictionary<string, (long Expires, JsonElement Value)> _values = new(StringComparer.Ordinal);

    public JsonElement? Get(string key, long now)
    {
        if (!_values.TryGetValue(key, out var entry))
        {
            return null;
        }

        if (entry.Expires > now)
        {
            return entry.Value;
        }

        _values.Remove(key);
        return null;
    }

    public void Put(string key, JsonElement value, long expires, long now)
    {
        if (_values.Count >= maxKeys && !_values.ContainsKey(key))
        {
            foreach (var old in _values.Where(v => v.Value.Expires <= now).Select(v => v.Key).ToList())
            {
                _values.Remove(old);
            }

            if (_values.Count >= maxKeys)
            {
                throw new ItemException("store_full", $"the store holds {_values.Count} keys, as many as max_keys allows");
            }
        }

        _values[key] = (expires, value);
    }

    public void Delete(string key) => _values.Remove(key);

    /// <summary>All values as they are now; they are immutable, so only references are copied.</summary>
    public (string Key, long Expires, JsonElement Value)[] Freeze()
    {
        var all = new (string, long, JsonElement)[_values.Count];
        var next = 0;
        foreach (var (key, (expires, value)) in _values)
        {
            all[next++] = (key, expires, value);
        }

        return all;
    }
}

/// <summary>Values in a table of an SQLite database.</summary>
internal sealed class SqliteValues : IKeyedValues, IDisposable
{
    private readonly SqliteConnection _connection;
    private readonly SqliteCommand _get;
    private readonly SqliteCommand _put;
    private readonly SqliteCommand _delete;

    private SqliteValues(SqliteConnection connection, string table)
    {
        _connection = connection;
        _get = Command($"SELECT value FROM {table} WHERE key = $key AND expires > $now", "$key", "$now");
        _put = Command($"INSERT INTO {table} (key, value, expires) VALUES ($key, $value, $expires) ON CONFLICT (key) DO UPDATE SET value = $value, expires = $expires", "$key", "$value", "$expires");
        _delete = Command($"DELETE FROM {table} WHERE key = $key", "$key");
    }

    /// <summary>Opens the database and makes the table when it is not there.</summary>
    public static SqliteValues Open(string path, string table)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        try
        {
            connection.Open();
            var name = $"\"{table.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
            using var make = connection.CreateCommand();
            make.CommandText = $"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS {name} (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID";
            make.ExecuteNonQuery();
            return new SqliteValues(connection, name);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    public JsonElement? Get(string key, long now)
    {
        Set(_get, key, now);
        return _get.ExecuteScalar() is string json ? JsonElement.Parse(json, Errors.PayloadJson.Around) : null;
    }

    public void Put(string key, JsonElement value, long expires, long now)
    {
        Set(_put, key, value.GetRawText(), expires);
        _put.ExecuteNonQuery();
    }

    public void Delete(string key)
    {
        Set(_delete, key);
        _delete.ExecuteNonQuery();
    }

    public void Dispose()
    {
        _get.Dispose();
        _put.Dispose();
        _delete.Dispose();
        _connection.Dispose();
    }

    private SqliteCommand Command(string text, params ReadOnlySpan<string> parameters)
    {
        var command = _connection.CreateCommand();
        command.CommandText = text;
        foreach (var name in parameters)
        {
            command.Parameters.Add(new SqliteParameter { ParameterName = name });
        }

        return command;
    }

    private static void Set(SqliteCommand command, params ReadOnlySpan<object> values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            command.Parameters[i].Value = values[i];
        }
    }
}
