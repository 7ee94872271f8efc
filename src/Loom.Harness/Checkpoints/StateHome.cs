using Loom.Components;
using Loom.Core.Loops;
using Loom.Harness.Checkpoints.Adapters;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Checkpoints;

/// <summary>How a run wants to begin.</summary>
/// <param name="Fresh">Without anything that is there.</param>
/// <param name="From">With this checkpoint instead of the newest.</param>
internal sealed record StateStart(bool Fresh = false, CheckpointId? From = null)
{
    /// <summary>Looks at the checkpoint to go on from before anything is begun; throws where it does not fit.</summary>
    public Action<LoadedCheckpoint> Accept { get; init; } = static _ => { };
}

/// <summary>
/// Where a running system keeps its state. When the store cannot be reached at the start, state is kept in memory and the store is asked again and again; once
/// it answers, it takes over with a lineage of its own. Lifecycle: <see cref="OpenAsync"/>, use <see cref="Store"/> afresh for each checkpoint, dispose.
/// </summary>
internal sealed partial class StateHome : IAsyncDisposable
{
    private static readonly TimeSpan s_answer = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(30);

    private readonly Func<CheckpointStore> _make;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly List<CheckpointStore> _stores = [];
    private readonly List<string> _notices = [];
    private volatile CheckpointStore _store;
    private volatile string? _fallback;
    private BackgroundLoop? _return;
    private Action? _onReturn;

    private StateHome(Func<CheckpointStore> make, CheckpointStore first, TimeProvider time, ILogger log)
    {
        (_make, _store, _time, _log) = (make, first, time, log);
        _stores.Add(first);
    }

    /// <summary>The store as it is now; ask for each checkpoint, since it can change once.</summary>
    public CheckpointStore Store => _store;

    /// <summary>Why state is in memory although a store was chosen; null = it is not. Health is degraded meanwhile, and an alert fires.</summary>
    public string? Fallback => _fallback;

    /// <summary>The checkpoint to go on from; null = begin empty.</summary>
    public LoadedCheckpoint? Resumed { get; private set; }

    /// <summary>What a person should read at the start: choices, fallbacks, what was set aside, what the store does not promise.</summary>
    public IReadOnlyList<string> Notices => _notices;

    /// <summary>Opens the chosen store and finds the checkpoint to go on from.</summary>
    /// <param name="choice">What was decided.</param>
    /// <param name="start">How to begin.</param>
    /// <param name="system">The system's name.</param>
    /// <param name="folder">Its state folder, <c>.loom/harness/SYSTEM</c>.</param>
    /// <param name="time">Clock.</param>
    /// <param name="log">Told of everything that is not as it should be.</param>
    /// <param name="ct">Gives up.</param>
    /// <exception cref="StateRequiredException">State is required and cannot be kept or resumed, or there is no checkpoint of the id asked for.</exception>
    public static async Task<StateHome> OpenAsync(
        StateChoice choice, StateStart start, string system, string folder, TimeProvider time, ILogger log, CancellationToken ct)
    {
        return await OverAsync(() => MakeStore(choice, system, folder, time, log), choice, start, system, time, log, ct).ConfigureAwait(false);
    }

    /// <summary>As <see cref="OpenAsync"/>, over a store of the caller's making.</summary>
    internal static async Task<StateHome> OverAsync(
        Func<CheckpointStore> make, StateChoice choice, StateStart start, string system, TimeProvider time, ILogger log, CancellationToken ct)
    {
        var home = new StateHome(make, make(), time, log);
        try
        {
            if (choice.Announcement is { } announcement)
            {
                home._notices.Add(announcement);
            }

            await home.BeginAsync(choice, start, system, ct).ConfigureAwait(false);
            return home;
        }
        catch
        {
            await home.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Opens the chosen store to look at it, for the command line: no fallback, nothing is begun.</summary>
    /// <exception cref="IOException">It cannot be reached.</exception>
    public static async Task<CheckpointStore> OpenToReadAsync(
        StateChoice choice, string system, string folder, TimeProvider time, ILogger log, CancellationToken ct)
    {
        var store = MakeStore(choice, system, folder, time, log);
        try
        {
            await store.OpenToReadAsync(ct).ConfigureAwait(false);
            return store;
        }
        catch
        {
            await store.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Calls <paramref name="onReturn"/> when the store has come back: take a full checkpoint at once. Set it before the system runs.</summary>
    public void WhenReturned(Action onReturn) => Volatile.Write(ref _onReturn, onReturn);

    public async ValueTask DisposeAsync()
    {
        if (_return is not null)
        {
            await _return.DisposeAsync().ConfigureAwait(false);
        }

        foreach (var store in _stores)
        {
            await store.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static CheckpointStore MakeStore(StateChoice choice, string system, string folder, TimeProvider time, ILogger log)
    {
        // Components that chose the same place share its adapter.
        var made = new Dictionary<AdapterChoice, IStateAdapter>();
        IStateAdapter Make(AdapterChoice of) => made.TryGetValue(of, out var adapter) ? adapter : made[of] = of.Adapter switch
        {
            RedisState.AdapterName => new RedisState(of.Redis!, system, s_answer, time),
            SqliteState.AdapterName => new SqliteState(Path.Combine(folder, "state.db"), time),
            _ => new InMemoryState(),
        };
        var main = Make(choice.System);
        return new CheckpointStore(main, system, choice.Options, time, log, choice.Components.ToDictionary(c => c.Key, c => Make(c.Value), StringComparer.Ordinal));
    }

    private async Task BeginAsync(StateChoice choice, StateStart start, string system, CancellationToken ct)
    {
        try
        {
            await _store.OpenAsync(start.Fresh, ct).ConfigureAwait(false);
            Resumed = await FindAsync(choice, start, ct).ConfigureAwait(false);
            NoteStore(_store);
        }
        catch (IOException e) when (choice.Required)
        {
            throw new StateRequiredException(
                StateCodes.StoreUnusable,
                $"the state store cannot be used and state.required is set: {e.Message}; bring it up, or take state.required away to run with state in memory", e);
        }
        catch (IOException e) when (start.From is not null)
        {
            throw new StateRequiredException(StateCodes.CheckpointUnusable, $"checkpoint {start.From} cannot be read, because the state store cannot be used: {e.Message}", e);
        }
        catch (IOException e)
        {
            await FallBackAsync(e.Message, start.Fresh, system, choice, ct).ConfigureAwait(false);
        }
    }

    private async Task<LoadedCheckpoint?> FindAsync(StateChoice choice, StateStart start, CancellationToken ct)
    {
        if (start.From is { } id)
        {
            try
            {
                var asked = await _store.LoadAsync(id, ct).ConfigureAwait(false)
                    ?? throw new StateRequiredException(StateCodes.NoSuchCheckpoint, $"there is no checkpoint {id}; loom harness checkpoints lists what there is");
                start.Accept(asked);
                await _store.ResumeFromAsync(id, ct).ConfigureAwait(false);
                return asked;
            }
            catch (CheckpointDamagedException e)
            {
                throw new StateRequiredException(StateCodes.CheckpointUnusable, $"checkpoint {id} cannot be used: {e.Message}; loom harness checkpoints verify tells which can", e);
            }
        }

        if (start.Fresh)
        {
            return null;
        }

        var newest = await _store.LoadNewestAsync(ct).ConfigureAwait(false);
        _notices.AddRange(_store.Quarantined.Select(q => $"checkpoint {q.Id} is set aside: {q.Reason}"));
        if (newest is not null)
        {
            start.Accept(newest);
        }

        if (newest is not null || (_store.Candidates == 0 && _store.SetAside is null))
        {
            return newest;
        }

        var why = _store.SetAside ?? $"none of {_store.Candidates} checkpoints can be used";
        if (choice.Required)
        {
            throw new StateRequiredException(StateCodes.NoneUsable, $"{why}, and state.required is set; --fresh begins anew");
        }

        LogEmpty(_log, why);
        _notices.Add($"starting with EMPTY state: {why}");
        return null;
    }

    private void NoteStore(CheckpointStore store)
    {
        foreach (var warning in store.Warnings)
        {
            LogWeak(_log, warning);
            _notices.Add(warning);
        }
    }

    private async Task FallBackAsync(string why, bool fresh, string system, StateChoice choice, CancellationToken ct)
    {
        LogFallback(_log, why);
        _notices.Add($"state is kept IN MEMORY and ends with this process: {why}; trying again until it answers");
        _fallback = why;
        var memory = new CheckpointStore(new InMemoryState(), system, choice.Options, _time, _log);
        await memory.OpenAsync(fresh: false, ct).ConfigureAwait(false);
        var away = _store;
        _stores.Add(memory);
        _store = memory;
        _stores.Remove(away);
        await away.DisposeAsync().ConfigureAwait(false);
        _return = BackgroundLoop.Start("state store", stop => ReturnAsync(fresh, stop), _log);
    }

    private async Task ReturnAsync(bool fresh, CancellationToken stop)
    {
        var pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            await Task.Delay(pause, _time, stop).ConfigureAwait(false);
            var store = _make();
            try
            {
                await store.OpenAfterFallbackAsync(fresh, stop).ConfigureAwait(false);
                _stores.Add(store);
                break;
            }
            catch (IOException e)
            {
                LogStillAway(_log, e.Message);
                await store.DisposeAsync().ConfigureAwait(false);
            }
            catch
            {
                await store.DisposeAsync().ConfigureAwait(false);
                throw;
            }

            pause = pause * 2 < s_longestPause ? pause * 2 : s_longestPause;
        }

        _store = _stores[^1];
        _fallback = null;
        LogReturned(_log, _store.Lineage);
        Volatile.Read(ref _onReturn)?.Invoke();
    }

    [LoggerMessage(EventId = 4110, Level = LogLevel.Error, Message = "state is kept in memory and ends with this process: {Why}")]
    private static partial void LogFallback(ILogger logger, string why);

    [LoggerMessage(EventId = 4111, Level = LogLevel.Debug, Message = "the state store is still away: {Why}")]
    private static partial void LogStillAway(ILogger logger, string why);

    [LoggerMessage(EventId = 4112, Level = LogLevel.Information, Message = "the state store is back; checkpoints go there from now on, as lineage {Lineage}")]
    private static partial void LogReturned(ILogger logger, int lineage);

    [LoggerMessage(EventId = 4113, Level = LogLevel.Error, Message = "starting with empty state: {Why}")]
    private static partial void LogEmpty(ILogger logger, string why);

    [LoggerMessage(EventId = 4114, Level = LogLevel.Warning, Message = "{Warning}")]
    private static partial void LogWeak(ILogger logger, string warning);
}
