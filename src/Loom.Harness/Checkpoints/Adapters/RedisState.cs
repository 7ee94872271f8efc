using Loom.Components;
using StackExchange.Redis;

namespace Loom.Harness.Checkpoints.Adapters;

/// <summary>
/// <c>redis_snapshot</c>: keys <c>loom:{SYSTEM}:ckpt:ID:COMPONENT</c>, the slashes of ours as colons. Every command has a deadline of its own, since a frozen server answers
/// nothing; after a failure the connection is thrown away and the next call makes a new one.
/// </summary>
internal sealed class RedisState : IStateAdapter, IStateWarnings
{
    public const string AdapterName = "redis_snapshot";

    private const int ScanCount = 1000;
    private const int DeleteAtOnce = 100;

    private readonly RedisUrl _url;
    private readonly string _prefix;
    private readonly TimeSpan _limit;
    private readonly TimeProvider _time;
    private readonly SemaphoreSlim _connecting = new(1, 1);
    private volatile ConnectionMultiplexer? _connection;
    private RedisPromise _promise = RedisPromise.Unknown;

    /// <param name="url">Where.</param>
    /// <param name="system">Name of the system, part of every key.</param>
    /// <param name="limit">Longest wait for one answer, and for a connection.</param>
    /// <param name="time">Clock of the deadlines.</param>
    public RedisState(RedisUrl url, string system, TimeSpan limit, TimeProvider time)
    {
        (_url, _limit, _time) = (url, limit, time);
        _prefix = $"loom:{{{system}}}:"; // the braces keep one system in one slot of a cluster
    }

    public string Name => AdapterName;

    public StateDurability Durability => StateDurability.Store;

    public IReadOnlyList<string> Warnings => _promise.Warnings;

    public string Describe() => $"Redis {_url.Shown}, {_promise.Words}";

    public async ValueTask OpenAsync(CancellationToken ct)
    {
        await AskAsync(static (db, _) => db.ExecuteAsync("PING"), "", ct).ConfigureAwait(false);
        _promise = new RedisPromise(
            await SettingAsync("appendonly", ct).ConfigureAwait(false),
            await SettingAsync("appendfsync", ct).ConfigureAwait(false),
            await SettingAsync("maxmemory-policy", ct).ConfigureAwait(false));
    }

    public async ValueTask PutAsync(string key, ReadOnlyMemory<byte> value, CancellationToken ct)
    {
        StateKeys.Check(key, value.Length);

        // A copy: after a deadline the client may still hold it, while the caller fills the buffer anew.
        var copy = value.ToArray();
        await AskAsync(static (db, ask) => db.StringSetAsync(ask.Key, ask.Value), (Key: Key(key), Value: (RedisValue)copy), ct).ConfigureAwait(false);
    }

    public async ValueTask<byte[]?> GetAsync(string key, CancellationToken ct) =>
        (byte[]?)await AskAsync(static (db, ask) => db.StringGetAsync(ask), Key(key), ct).ConfigureAwait(false);

    public async ValueTask<IReadOnlyList<string>> ListAsync(string prefix, CancellationToken ct)
    {
        var keys = new SortedSet<string>(StringComparer.Ordinal); // a scan may tell a key twice
        var pattern = (string)Key(prefix)! + "*";
        var cursor = "0";
        do
        {
            var answer = (RedisResult[])await AskAsync(
                static (db, ask) => db.ExecuteAsync("SCAN", ask.cursor, "MATCH", ask.pattern, "COUNT", ScanCount), (cursor, pattern), ct).ConfigureAwait(false);
            cursor = (string)answer[0];
            foreach (var key in (string[])answer[1])
            {
                keys.Add(key[_prefix.Length..].Replace(':', '/'));
            }
        }
        while (cursor != "0");
        return [.. keys];
    }

    public async ValueTask DeleteAsync(IReadOnlyList<string> keys, CancellationToken ct)
    {
        foreach (var some in keys.Chunk(DeleteAtOnce))
        {
            await AskAsync(static (db, ask) => db.KeyDeleteAsync(ask), Array.ConvertAll(some, Key), ct).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _connecting.WaitAsync().ConfigureAwait(false);
        Drop(_connection);
        _connecting.Dispose();
    }

    private RedisKey Key(string key) => _prefix + key.Replace('/', ':');

    private async ValueTask<string?> SettingAsync(string name, CancellationToken ct)
    {
        try
        {
            var answer = (RedisResult[])await AskAsync(static (db, ask) => db.ExecuteAsync("CONFIG", "GET", ask), name, ct).ConfigureAwait(false);
            return answer.Length == 2 ? (string)answer[1] : null;
        }
        catch (RedisRefusedException)
        {
            return null; // CONFIG is often forbidden where Redis is run by others
        }
    }

    private async ValueTask<TAnswer> AskAsync<TAsk, TAnswer>(Func<IDatabase, TAsk, Task<TAnswer>> command, TAsk ask, CancellationToken ct)
    {
        var connection = await ConnectedAsync(ct).ConfigureAwait(false);
        try
        {
            return await command(connection.GetDatabase(), ask).WaitAsync(_limit, _time, ct).ConfigureAwait(false);
        }
        catch (RedisServerException e)
        {
            throw new RedisRefusedException($"Redis {_url.Shown} refused: {e.Message}", e);
        }
        catch (Exception e) when (e is TimeoutException or RedisException or ObjectDisposedException)
        {
            Drop(connection);
            throw new IOException($"Redis {_url.Shown} did not answer within {_limit.TotalSeconds:0.#} s: {e.Message}", e);
        }
    }

    private async ValueTask<ConnectionMultiplexer> ConnectedAsync(CancellationToken ct)
    {
        ct.ThrowIfCancellationRequested();
        if (_connection is { } connected)
        {
            return connected;
        }

        await _connecting.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            if (_connection is { } other)
            {
                return other;
            }

            var attempt = ConnectionMultiplexer.ConnectAsync(_url.Options(_limit));
            try
            {
                return _connection = await attempt.WaitAsync(_limit + _limit, _time, ct).ConfigureAwait(false);
            }
            catch
            {
                _ = attempt.ContinueWith(static late => Close(late.Result), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion, TaskScheduler.Default);
                throw;
            }
        }
        catch (Exception e) when (e is TimeoutException or RedisException or AggregateException or System.Net.Sockets.SocketException)
        {
            throw new IOException($"Redis {_url.Shown} cannot be reached: {e.Message}", e);
        }
        finally
        {
            _connecting.Release();
        }
    }

    private void Drop(ConnectionMultiplexer? connection)
    {
        if (connection is not null && Interlocked.CompareExchange(ref _connection, null, connection) == connection)
        {
            Close(connection);
        }
    }

    // Not waited for: what is still asked of it has had its deadline.
    private static void Close(ConnectionMultiplexer connection) => connection.Close(allowCommandsToComplete: false);
}

/// <summary>Redis answered, and said no: out of memory, read-only, not allowed.</summary>
internal sealed class RedisRefusedException(string message, Exception inner) : IOException(message, inner);

/// <summary>An adapter that knows what its store does not promise.</summary>
internal interface IStateWarnings
{
    /// <summary>Each with what it can cost and the setting that mends it; known once the adapter is open.</summary>
    IReadOnlyList<string> Warnings { get; }
}
