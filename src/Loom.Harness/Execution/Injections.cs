using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Execution;

/// <summary>What became of an event that was put into a component from outside its streams.</summary>
internal enum InjectionEnd
{
    /// <summary>The component handled it; what came of it is in its outputs.</summary>
    Done,

    /// <summary>The component failed on it; it is with the error destination.</summary>
    Failed,

    /// <summary>The component did not take it, or ended with it in hand.</summary>
    Refused,
}

/// <summary>An event on its way into a component from outside its streams.</summary>
/// <param name="port">The input port.</param>
/// <param name="e">The event.</param>
internal sealed class Injection(string port, Event<JsonElement> e)
{
    private readonly TaskCompletionSource<InjectionEnd> _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _taken;

    public string Port => port;

    public Event<JsonElement> Event => e;

    /// <summary>Completes once the component is done with it.</summary>
    public Task<InjectionEnd> Completion => _end.Task;

    /// <summary>Takes it into hand, or takes it back: one of both succeeds.</summary>
    public bool TryTake() => Interlocked.Exchange(ref _taken, 1) == 0;

    public void End(InjectionEnd end) => _end.TrySetResult(end);
}

/// <summary>Events from outside its streams that wait for a component: its loop takes them between two events, so no stream has a second writer, and neither the end of inputs nor a barrier waits for them.</summary>
internal sealed class Injections
{
    private readonly Lock _lock = new();
    private readonly Queue<Injection> _waiting = [];
    private readonly List<Injection> _inHand = [];
    private volatile int _count;
    private bool _closed;

    /// <summary>Whether there may be one.</summary>
    public bool IsWaiting => _count > 0;

    /// <summary>Puts one in; false when the component has ended.</summary>
    public bool Add(Injection injection)
    {
        lock (_lock)
        {
            if (!_closed)
            {
                _waiting.Enqueue(injection);
                _count = _waiting.Count;
            }

            return !_closed;
        }
    }

    /// <summary>Takes the next one of a port into hand; null when there is none.</summary>
    /// <param name="port">Null: of any port.</param>
    public Injection? Take(string? port = null)
    {
        lock (_lock)
        {
            _inHand.RemoveAll(static i => i.Completion.IsCompleted);
            Injection? taken = null;
            for (var looked = _waiting.Count; looked > 0 && taken is null; looked--)
            {
                var next = _waiting.Dequeue();
                if (port is not null && next.Port != port)
                {
                    _waiting.Enqueue(next);
                }
                else if (next.TryTake())
                {
                    taken = next;
                    _inHand.Add(next);
                }
            }

            _count = _waiting.Count;
            return taken;
        }
    }

    /// <summary>The component has ended: none is taken any more, and one that is in hand still is not done.</summary>
    public void Close()
    {
        lock (_lock)
        {
            _closed = true;
            foreach (var injection in _waiting.Concat(_inHand))
            {
                injection.End(InjectionEnd.Refused);
            }

            _waiting.Clear();
            _inHand.Clear();
            _count = 0;
        }
    }
}
