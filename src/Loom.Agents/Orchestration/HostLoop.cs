using System.Threading.Channels;
using Loom.Core.Loops;
using Microsoft.Extensions.Logging;

namespace Loom.Agents.Orchestration;

/// <summary>
/// The loop behind <see cref="AgentHost"/>: events and wishes come in over a channel and are judged one after the other; callers wait for states. When it dies
/// of an error, everybody who waits hears of it, and everybody who comes later.
/// </summary>
internal sealed class HostLoop : IAsyncDisposable
{
    private readonly Channel<Action> _requests = Channel.CreateUnbounded<Action>(new UnboundedChannelOptions { SingleReader = true });
    private readonly List<Waiter> _waiters = [];
    private readonly Func<HostState> _state;
    private readonly Action<HostEvent> _apply;
    private readonly BackgroundLoop _loop;
    private int _waiting;

    /// <param name="state">The state as it is; asked on the loop.</param>
    /// <param name="apply">Answers an event; called on the loop.</param>
    /// <param name="logger">Where an end by an error is told.</param>
    internal HostLoop(Func<HostState> state, Action<HostEvent> apply, ILogger logger)
    {
        _state = state;
        _apply = apply;
        _loop = BackgroundLoop.Start("agents", RunAsync, logger);
    }

    internal Exception? Fault => _loop.Fault;

    internal Task Completion => _loop.Completion;

    /// <summary>How many callers wait for a state.</summary>
    internal int Waiting => Volatile.Read(ref _waiting);

    /// <summary>Hands in an event; never blocks.</summary>
    internal void Tell(HostEvent happened) => Post(() => Apply(happened));

    /// <summary>Judges a wish on the loop and waits until it was taken; what <paramref name="wish"/> throws is the caller's.</summary>
    /// <exception cref="InvalidOperationException">The loop has ended.</exception>
    internal Task AskAsync(Func<HostState, HostEvent> wish, CancellationToken cancellationToken)
    {
        var taken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return WaitAsync(
            taken,
            () =>
            {
                HostEvent happened;
                try
                {
                    happened = wish(_state());
                }
                catch (Exception e)
                {
                    taken.TrySetException(e);
                    return;
                }

                Apply(happened);
                taken.TrySetResult();
            },
            cancellationToken);
    }

    /// <summary>Waits until <paramref name="done"/> holds, asked on the loop now and after each event; what it throws is the caller's.</summary>
    /// <exception cref="InvalidOperationException">The loop has ended.</exception>
    internal async Task WhenAsync(Func<HostState, bool> done, CancellationToken cancellationToken)
    {
        var waiter = new Waiter(done, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        try
        {
            await WaitAsync(
                waiter.Source,
                () =>
                {
                    if (!waiter.Try(_state()))
                    {
                        _waiters.Add(waiter);
                        _waiting = _waiters.Count;
                    }
                },
                cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Post(() =>
            {
                _waiters.Remove(waiter);
                _waiting = _waiters.Count;
            });
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        _requests.Writer.TryComplete();
        await _loop.DisposeAsync().ConfigureAwait(false);
        Abandon(Ended(null));
    }

    private static InvalidOperationException Ended(Exception? fault) =>
        new(fault is null ? "the agents have been stopped" : $"the owner of the agents has failed: {fault.Message}; the supervisor keeps what runs", fault);

    private bool Post(Action request) => _requests.Writer.TryWrite(request);

    private void Apply(HostEvent happened)
    {
        _apply(happened);
        var state = _state();
        _waiters.RemoveAll(w => w.Try(state));
        _waiting = _waiters.Count;
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await _requests.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            {
                while (_requests.Reader.TryRead(out var request))
                {
                    request();
                }
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            _requests.Writer.TryComplete(e); // whoever asked and was not served hears of it by the loop's end
            Abandon(Ended(e));
            throw;
        }
    }

    private async Task WaitAsync(TaskCompletionSource source, Action request, CancellationToken cancellationToken)
    {
        if (!Post(request))
        {
            throw Ended(Fault);
        }

        var first = await Task.WhenAny(source.Task, _loop.Completion).WaitAsync(cancellationToken).ConfigureAwait(false);
        if (first != source.Task && !source.Task.IsCompleted)
        {
            throw Ended(Fault);
        }

        await source.Task.ConfigureAwait(false);
    }

    private void Abandon(Exception reason)
    {
        foreach (var waiter in _waiters)
        {
            waiter.Source.TrySetException(reason);
        }

        _waiters.Clear();
    }

    /// <summary>Somebody who waits for a state; what the question throws is theirs.</summary>
    private sealed record Waiter(Func<HostState, bool> Done, TaskCompletionSource Source)
    {
        internal bool Try(HostState state)
        {
            try
            {
                return Done(state) && (Source.TrySetResult() || true);
            }
            catch (Exception e)
            {
                return Source.TrySetException(e) || true;
            }
        }
    }
}
