using System.Collections.Concurrent;
using System.Globalization;
using Loom.Components;
using Loom.Core.Storage;
using Microsoft.Data.Sqlite;

namespace Loom.Harness.Checkpoints.Adapters;

/// <summary>
/// <c>sqlite_snapshot</c>: one file with a write-ahead log, flushed at every commit, so a put survives a power cut. SQLite blocks its caller, so all of it
/// happens on one thread of its own.
/// </summary>
internal sealed class SqliteState : IStateAdapter, ISetAside
{
    public const string AdapterName = "sqlite_snapshot";

    private const int Corrupt = 11;
    private const int Full = 13;
    private const int NotADatabase = 26;

    private readonly BlockingCollection<Action> _work = [];
    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Task _thread;
    private SqliteConnection? _connection;

    /// <param name="path">The file; it and its folder are created for their owner alone.</param>
    /// <param name="time">Clock, for the name of a broken file that is moved away.</param>
    public SqliteState(string path, TimeProvider time)
    {
        (_path, _time) = (path, time);
        _thread = Task.Factory.StartNew(Serve, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
    }

    public string Name => AdapterName;

    public StateDurability Durability => StateDurability.Machine;

    public string Describe() => $"SQLite file {_path}: write-ahead log, flushed to disk at every commit (synchronous FULL)";

    public ValueTask OpenAsync(CancellationToken ct) => RunAsync(Open, ct);

    public ValueTask PutAsync(string key, ReadOnlyMemory<byte> value, CancellationToken ct)
    {
        StateKeys.Check(key, value.Length);
        return RunAsync(
            () =>
            {
                using var command = Command("INSERT INTO state (key, value) VALUES ($key, $value) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
                command.Parameters.AddWithValue("$key", key);
                command.Parameters.AddWithValue("$value", System.Runtime.InteropServices.MemoryMarshal.TryGetArray(value, out var array)
                    && array is { Offset: 0 } && array.Count == array.Array!.Length ? array.Array : value.ToArray());
                command.ExecuteNonQuery();
            },
            ct);
    }

    public async ValueTask<byte[]?> GetAsync(string key, CancellationToken ct)
    {
        byte[]? found = null;
        await RunAsync(
            () =>
            {
                using var command = Command("SELECT value FROM state WHERE key = $key");
                command.Parameters.AddWithValue("$key", key);
                found = command.ExecuteScalar() as byte[];
            },
            ct).ConfigureAwait(false);
        return found;
    }

    public async ValueTask<IReadOnlyList<string>> ListAsync(string prefix, CancellationToken ct)
    {
        var keys = new List<string>();
        await RunAsync(
            () =>
            {
                using var command = Command("SELECT key FROM state WHERE key >= $from AND substr(key, 1, length($from)) = $from ORDER BY key");
                command.Parameters.AddWithValue("$from", prefix);
                using var reader = command.ExecuteReader();
                while (reader.Read())
                {
                    keys.Add(reader.GetString(0));
                }
            },
            ct).ConfigureAwait(false);
        return keys;
    }

    public ValueTask DeleteAsync(IReadOnlyList<string> keys, CancellationToken ct) => RunAsync(
        () =>
        {
            using var all = _connection!.BeginTransaction();
            using var command = Command("DELETE FROM state WHERE key = $key");
            command.Transaction = all;
            var key = command.Parameters.Add("$key", SqliteType.Text);
            foreach (var name in keys)
            {
                key.Value = name;
                command.ExecuteNonQuery();
            }

            all.Commit();
        },
        ct);

    public async ValueTask<string> SetAsideAsync(CancellationToken ct)
    {
        var aside = $"{_path}.broken-{_time.GetUtcNow().ToString("yyyyMMddTHHmmssfff", CultureInfo.InvariantCulture)}";
        await RunAsync(
            () =>
            {
                Close();
                File.Move(_path, aside);
                foreach (var part in new[] { "-wal", "-shm" }.Where(p => File.Exists(_path + p)))
                {
                    File.Move(_path + part, aside + part);
                }

                Open();
            },
            ct).ConfigureAwait(false);
        return aside;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_work.IsAddingCompleted)
        {
            _work.CompleteAdding();
        }

        await _thread.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _work.Dispose();
    }

    private void Serve()
    {
        foreach (var work in _work.GetConsumingEnumerable())
        {
            work();
        }

        Close();
    }

    private void Open()
    {
        if (_connection is not null)
        {
            return;
        }

        PrivateFolder.Ensure(Path.GetDirectoryName(_path)!);
        if (!File.Exists(_path))
        {
            // SQLite would let others read it; its log files take the mode of this one.
            var options = new FileStreamOptions
            {
                Mode = FileMode.CreateNew,
                Access = FileAccess.Write,
                UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
            };
            new FileStream(_path, options).Dispose();
        }

        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = _path, Pooling = false, DefaultTimeout = 10 }.ConnectionString);
        try
        {
            connection.Open();
            using var command = connection.CreateCommand();
            command.CommandText = """
                PRAGMA journal_mode = WAL;
                PRAGMA synchronous = FULL;
                PRAGMA user_version = 1;
                CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value BLOB NOT NULL);
                """;
            command.ExecuteNonQuery();
            _connection = connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    private void Close()
    {
        _connection?.Dispose();
        _connection = null;
    }

    private SqliteCommand Command(string text)
    {
        if (_connection is null)
        {
            Open(); // closed by an earlier failure
        }

        var command = _connection!.CreateCommand();
        command.CommandText = text;
        return command;
    }

    // A caller that gives up stops waiting; the work still ends on its thread.
    private async ValueTask RunAsync(Action work, CancellationToken ct)
    {
        var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            _work.Add(
                () =>
                {
                    if (ct.IsCancellationRequested)
                    {
                        done.TrySetCanceled(ct);
                        return;
                    }

                    try
                    {
                        work();
                        done.TrySetResult();
                    }
                    catch (Exception e)
                    {
                        done.TrySetException(Told(e));
                    }
                },
                CancellationToken.None);
        }
        catch (InvalidOperationException)
        {
            throw new ObjectDisposedException(nameof(SqliteState));
        }

        await done.Task.WaitAsync(ct).ConfigureAwait(false);
    }

    private Exception Told(Exception error)
    {
        switch (error)
        {
            case SqliteException { SqliteErrorCode: Corrupt or NotADatabase } e:
                return new StateDamagedException($"the state file {_path} is damaged: {e.Message}", e);
            case SqliteException { SqliteErrorCode: Full } e:
                return new DiskFullException($"no room for state in {_path}; free some space, the next checkpoint tries again ({e.Message})", new IOException(e.Message, e));
            case SqliteException e:
                Close(); // an I/O error can leave a connection unusable
                return new IOException($"the state file {_path} cannot be used: {e.Message}", e);
            case UnauthorizedAccessException e:
                return new IOException($"the state file {_path} cannot be used: {e.Message}", e);
            default:
                return error;
        }
    }
}
