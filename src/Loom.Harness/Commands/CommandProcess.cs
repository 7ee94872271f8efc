using System.Text.Json;
using Loom.Components;
using Loom.Core.Loops;
using Loom.Harness.Architecture;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Commands;

/// <summary>
/// A program in another language as a component: started and ended by the supervisor, set up again after a crash by the component's restart rule, with its state
/// brought back and what it had not answered sent again. Lifecycle: <see cref="StartAsync"/>, perhaps <see cref="Restore"/>, items, <see cref="StopAsync"/>, dispose.
/// </summary>
internal sealed partial class CommandProcess : IAsyncDisposable
{
    // A poisonous event is given up after this many deliveries.
    private const int MostDeliveries = 3;

    private readonly Lock _gate = new();
    private readonly Queue<CommandItem> _waiting = new();
    private readonly StateJournal _journal = new();
    private readonly SemaphoreSlim _quiet = new(1, 1);
    private readonly CommandChild _child;
    private readonly ComponentPlan _plan;
    private readonly CommandSurroundings _around;
    private readonly ISessionEvents _events;
    private readonly ILogger _log;
    private readonly RestartBudget _budget;
    private readonly string[] _inputs;
    private readonly string[] _outputs;
    private readonly bool _isSource;
    private SemaphoreSlim? _inFlight;
    private CommandSession? _session;
    private BackgroundLoop? _watching;
    private CommandSession? _live;
    private Exception? _failure;
    private long _last;
    private volatile bool _stopping;

    public CommandProcess(ComponentPlan plan, CommandSurroundings around, ISessionEvents events, int replica, ILogger log)
    {
        (_plan, _around, _events, _log) = (plan, around, events, log);
        _child = new CommandChild(plan, around, replica);
        _budget = new RestartBudget(plan.Restart);
        _inputs = [.. plan.Ports.Where(p => p.Class == SemanticClass.DataIn).Select(p => p.Name)];
        _outputs = [.. plan.Ports.Where(p => p.Class == SemanticClass.DataOut).Select(p => p.Name)];
        _isSource = plan.Type == ComponentType.Source;
    }

    /// <summary>What it says about itself; known once it has started.</summary>
    public ChildReady Ready { get; private set; } = new(1, false, false, false, false);

    /// <summary>How often it was set up again.</summary>
    public int Restarts { get; private set; }

    /// <summary>Told after each crash before the new incarnation is given anything: a source forgets what was on its way.</summary>
    public Action? OnCrash { get; init; }

    /// <summary>Why it is beyond its restarts; null = it is not.</summary>
    public Exception? Failure => Volatile.Read(ref _failure);

    /// <summary>Completes when it failed for good.</summary>
    public TaskCompletionSource<Exception> Failed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Starts it and hears what it is.</summary>
    /// <exception cref="IOException">It cannot be started, or is not ready in time; with its last words.</exception>
    public async Task StartAsync(CancellationToken ct)
    {
        try
        {
            (_session, Ready) = await OpenAsync(ct).ConfigureAwait(false);
        }
        catch
        {
            await _child.RemoveAsync().ConfigureAwait(false);
            throw;
        }

        _inFlight = new SemaphoreSlim(Ready.MaxInFlight, Ready.MaxInFlight);
        _live = _session;
        _watching = BackgroundLoop.Start($"command {_plan.Name}", WatchAsync, _log);
    }

    /// <summary>Hands over state of an earlier run; before the first item.</summary>
    public void Restore(JsonElement state)
    {
        lock (_gate)
        {
            _journal.Begin(state);
            _live?.Restore(state);
        }
    }

    /// <summary>
    /// Sends one event or batch and waits for what becomes of it. Items are sent in the order of the calls, as far as <c>max_in_flight</c> lets them.
    /// </summary>
    /// <exception cref="ItemException">It was delivered three times and the component crashed each time.</exception>
    /// <exception cref="ComponentFailedException">The component is beyond its restarts.</exception>
    public async ValueTask<CommandResult> SendAsync(CommandItem item, CancellationToken ct)
    {
        await _inFlight!.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            Submit(item);
            CommandResult result;
            try
            {
                result = await item.Done.Task.WaitAsync(ct).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (ct.IsCancellationRequested)
            {
                Cancel(item);
                throw;
            }

            if (Ready.Stateful)
            {
                await RememberAsync(item, ct).ConfigureAwait(false);
            }

            return result;
        }
        finally
        {
            _inFlight.Release();
        }
    }

    /// <summary>The state as of everything that was answered; called with nothing in flight.</summary>
    /// <exception cref="IOException">It could not tell: it is being set up again, or does not answer.</exception>
    public async Task<JsonElement> SnapshotAsync(CancellationToken ct)
    {
        var session = Volatile.Read(ref _live) ?? throw new IOException($"component \"{_plan.Name}\" is being set up again and cannot tell its state now");
        var state = await session.SnapshotAsync(ct).ConfigureAwait(false);
        lock (_gate)
        {
            _journal.Begin(state);
        }

        return state;
    }

    /// <summary>No more items come: what it still sends of its own accord has been told when this returns.</summary>
    public async Task DrainAsync(CancellationToken ct)
    {
        if (Volatile.Read(ref _live) is { } session)
        {
            await session.DrainAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>Asks a source to end softly.</summary>
    public void AskToDrain() => Volatile.Read(ref _live)?.AskToDrain();

    /// <summary>Says goodbye and ends it; whatever it left behind is ended too.</summary>
    public async Task StopAsync(CancellationToken ct)
    {
        _stopping = true;
        try
        {
            if (Volatile.Read(ref _live) is { } session && Failure is null)
            {
                await session.CloseAsync(ct).ConfigureAwait(false);
                await _child.EndedAsync(ct).ConfigureAwait(false);
            }
        }
        finally
        {
            await DisposeAsync().ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        _stopping = true;
        if (_watching is not null)
        {
            await _watching.DisposeAsync().ConfigureAwait(false);
        }

        if (_session is not null)
        {
            await _session.DisposeAsync().ConfigureAwait(false);
        }

        await _child.RemoveAsync().ConfigureAwait(false);
        FailAll(new OperationCanceledException($"component \"{_plan.Name}\" was stopped"));
    }

    private void Submit(CommandItem item)
    {
        lock (_gate)
        {
            if (_failure is not null)
            {
                throw _failure;
            }

            if (item.Number == 0)
            {
                item.Number = ++_last;
            }

            if (_live is null || !_live.Send(item))
            {
                _waiting.Enqueue(item);
            }
        }
    }

    private void Cancel(CommandItem item)
    {
        lock (_gate)
        {
            item.Cancelled = true;
            _live?.Cancel(item);
        }
    }

    private async ValueTask RememberAsync(CommandItem item, CancellationToken ct)
    {
        bool full;
        lock (_gate)
        {
            _journal.Add(item);
            full = _journal.IsFull;
        }

        if (!full || !await _quiet.WaitAsync(0, ct).ConfigureAwait(false))
        {
            return;
        }

        try
        {
            // Everybody else's turn is taken, so that nothing is in its hands while it tells its state; ours is one of them.
            var taken = 1;
            try
            {
                for (; taken < Ready.MaxInFlight; taken++)
                {
                    await _inFlight!.WaitAsync(ct).ConfigureAwait(false);
                }

                await SnapshotAsync(ct).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                LogNoState(_log, _plan.Name, e.Message); // it crashed just now; the journal brings it back
            }
            finally
            {
                if (taken > 1)
                {
                    _inFlight!.Release(taken - 1);
                }
            }
        }
        finally
        {
            _quiet.Release();
        }
    }

    private async Task<(CommandSession Session, ChildReady Ready)> OpenAsync(CancellationToken ct)
    {
        var pipes = await _child.StartAsync(ct).ConfigureAwait(false);
        var session = new CommandSession(
            pipes, _events, _outputs, new CommandLimits(_around.System.Policy.MaxItemBytes, AnswersPings: !_isSource), _around.Time, _log);
        try
        {
            return (session, await session.OpenAsync(_plan.Name, _plan.Config, _inputs, _around.SetupTimeout, ct).ConfigureAwait(false));
        }
        catch (Exception e)
        {
            await session.DisposeAsync().ConfigureAwait(false);
            throw e is IOException ? new IOException($"component \"{_plan.Name}\" ({string.Join(' ', _plan.Uses.Command!.Command)}): {e.Message}{await _child.LastWordsAsync().ConfigureAwait(false)}", e) : e;
        }
    }

    private async Task WatchAsync(CancellationToken stop)
    {
        var unanswered = new List<CommandItem>();
        while (true)
        {
            var session = _session!;
            var reason = await session.Ended.WaitAsync(stop).ConfigureAwait(false);
            if (_stopping)
            {
                return;
            }

            lock (_gate)
            {
                _live = null;
            }

            // What was in its hands counts as delivered once more; what still waits to be sent again does not.
            foreach (var item in session.TakeUnanswered())
            {
                unanswered.Remove(item);
                item.Again();
                unanswered.Add(item);
            }

            unanswered.Sort(static (a, b) => a.Number.CompareTo(b.Number));
            await session.DisposeAsync().ConfigureAwait(false);
            reason += await _child.HowItEndedAsync().ConfigureAwait(false);
            OnCrash?.Invoke();
            GiveUpPoison(unanswered, reason);
            if (!await SetUpAgainAsync(reason, unanswered, stop).ConfigureAwait(false))
            {
                return;
            }
        }
    }

    private void GiveUpPoison(List<CommandItem> unanswered, string reason)
    {
        foreach (var item in unanswered.Where(i => i.Attempt > MostDeliveries || i.Replay || i.Cancelled).ToList())
        {
            unanswered.Remove(item);
            item.Done.TrySetException(new ItemException("crashed", $"component \"{_plan.Name}\" crashed on it {MostDeliveries} times: {reason}"));
        }
    }

    // True once a new incarnation works and has answered everything that was in the old one's hands, or has crashed in its turn.
    private async Task<bool> SetUpAgainAsync(string reason, List<CommandItem> unanswered, CancellationToken stop)
    {
        while (true)
        {
            LogCrashed(_log, _plan.Name, reason);
            if (_budget.Take(_around.Time.GetUtcNow()) is not { } delay)
            {
                var failure = new ComponentFailedException(
                    $"component \"{_plan.Name}\" crashed more than {_plan.Restart.Attempts} times within {_plan.Restart.Within.TotalSeconds:0} s; the last time: {reason}");
                FailAll(failure, unanswered);
                Failed.TrySetResult(failure);
                return false;
            }

            await Task.Delay(delay, _around.Time, stop).ConfigureAwait(false);
            try
            {
                (_session, Ready) = await OpenAsync(stop).ConfigureAwait(false);
                Restarts++;
                break;
            }
            catch (IOException e)
            {
                reason = e.Message;
            }
        }

        await BringBackAsync(_session, unanswered, stop).ConfigureAwait(false);
        return true;
    }

    private async Task BringBackAsync(CommandSession session, List<CommandItem> unanswered, CancellationToken stop)
    {
        if (_journal.State is { } state)
        {
            session.Restore(state);
        }

        CommandItem[] replay;
        lock (_gate)
        {
            replay = [.. _journal.Since.Select(i => new CommandItem(i.Port, i.Event, i.Batch) { Number = ++_last, Replay = true, Attempt = i.Attempt })];
        }

        foreach (var item in replay)
        {
            if (!await DeliverAsync(session, item, stop).ConfigureAwait(false))
            {
                return;
            }
        }

        // One by one: if one of them is what it crashes on, the others are not counted for it.
        while (unanswered.Count > 0)
        {
            var item = unanswered[0];
            if (!await DeliverAsync(session, item, stop).ConfigureAwait(false))
            {
                return;
            }

            unanswered.RemoveAt(0);
        }

        lock (_gate)
        {
            _live = session;
            while (_waiting.TryPeek(out var item) && (item.Cancelled || session.Send(item)))
            {
                _waiting.Dequeue();
            }
        }
    }

    // False when it crashed meanwhile.
    private static async Task<bool> DeliverAsync(CommandSession session, CommandItem item, CancellationToken stop)
    {
        if (!session.Send(item))
        {
            return false;
        }

        return await Task.WhenAny(item.Done.Task, session.Ended).WaitAsync(stop).ConfigureAwait(false) == item.Done.Task;
    }

    private void FailAll(Exception failure, IEnumerable<CommandItem>? unanswered = null)
    {
        CommandItem[] all;
        lock (_gate)
        {
            _failure ??= failure;
            all = [.. unanswered ?? [], .. _session?.TakeUnanswered() ?? [], .. _waiting];
            _waiting.Clear();
        }

        foreach (var item in all)
        {
            item.Done.TrySetException(failure);
        }
    }

    [LoggerMessage(EventId = 4300, Level = LogLevel.Error, Message = "component {Component} crashed: {Reason}")]
    private static partial void LogCrashed(ILogger logger, string component, string reason);

    [LoggerMessage(EventId = 4301, Level = LogLevel.Warning, Message = "component {Component} could not tell its state between checkpoints: {Why}")]
    private static partial void LogNoState(ILogger logger, string component, string why);
}
