using System.Collections.Immutable;
using Loom.Processes.Cgroups;
using Loom.Processes.Logs;
using Loom.Processes.Piping;
using Loom.Processes.Spawning;
using Loom.Processes.Watching;

namespace Loom.Processes.Supervision;

/// <summary>What the owner loop holds for one process. Only the loop touches it, but for <see cref="Log"/>.</summary>
internal sealed class SupervisedChild(ChildState state, ChildLog log, ImmutableDictionary<string, string> environment)
{
    private readonly List<(Func<ChildState, bool> Done, TaskCompletionSource<ChildState> Waiter)> _waiters = [];
    private CancellationTokenSource? _probe;

    internal ChildState State { get; set; } = state;

    internal ProcessSnapshot Published { get; set; } = state.Snapshot();

    internal ChildLog Log { get; } = log;

    internal ImmutableDictionary<string, string> Environment { get; } = environment;

    internal string Name => State.Plan.Name;

    /// <summary>The incarnation whose leader is not reaped yet.</summary>
    internal Incarnation? Live { get; set; }

    /// <summary>Its cgroup, once it was started; null without one.</summary>
    internal ChildGroup? Group { get; set; }

    /// <summary>Processes of it seen outside its session.</summary>
    internal HashSet<ProcessIdentity> Strays { get; } = [];

    /// <summary>After its end: how often it is still looked for.</summary>
    internal int LooksLeft { get; set; }

    /// <summary>Begins a probe, or the command that stops; there is one at a time.</summary>
    internal CancellationToken NewProbe(CancellationToken end)
    {
        _probe?.Dispose();
        _probe = CancellationTokenSource.CreateLinkedTokenSource(end);
        return _probe.Token;
    }

    internal void CancelProbe()
    {
        _probe?.Cancel();
        _probe?.Dispose();
        _probe = null;
    }

    /// <summary>Completes when <paramref name="done"/> holds, at once or after a later change.</summary>
    internal Task<ChildState> When(Func<ChildState, bool> done)
    {
        if (done(State))
        {
            return Task.FromResult(State);
        }

        var waiter = new TaskCompletionSource<ChildState>(TaskCreationOptions.RunContinuationsAsynchronously);
        _waiters.Add((done, waiter));
        return waiter.Task;
    }

    internal void Settle() => _waiters.RemoveAll(w => w.Done(State) && w.Waiter.TrySetResult(State));

    internal void Abandon(Exception reason)
    {
        foreach (var (_, waiter) in _waiters)
        {
            waiter.TrySetException(reason);
        }

        _waiters.Clear();
    }
}

/// <summary>One life of a child: its pipes and the news of its end.</summary>
internal sealed class Incarnation : IReadable
{
    // After death nobody of the group writes any more; what a stranger to the group still sends has this long.
    private static readonly TimeSpan s_drain = TimeSpan.FromMilliseconds(250);

    // A pipe holds at most 1 MiB, and the writer is dead.
    private const int DrainReads = 32;

    private readonly DescriptorLoop _descriptors;
    private readonly TimeProvider _time;
    private readonly Action<int?, int?> _onExit;
    private readonly (OutputReader Reader, int Descriptor, long Id)[] _pipes;
    private readonly bool[] _open = [true, true];
    private volatile bool _ended;
    private ITimer? _drain;

    internal Incarnation(
        int number, SpawnedChild child, ChildLog log, Action<ProcessPipes>? onPipes, DescriptorLoop descriptors, TimeProvider time, Action<int?, int?> onExit)
    {
        Number = number;
        Identity = child.Identity;
        _descriptors = descriptors;
        _time = time;
        _onExit = onExit;
        var piped = child.Input is not null && onPipes is not null;
        _pipes = (child, piped) switch
        {
            ({ Error: { } error }, true) => [Pipe(error, 0, isError: true, log)],
            ({ Output: { } output, Error: { } error }, _) => [Pipe(output, 0, isError: false, log), Pipe(error, 1, isError: true, log)],
            _ => [],
        };
        var pipes = piped ? new ProcessPipes(number, descriptors, child.Input!, child.Output!) : null;
        descriptors.Add(child.Exit, this);
        if (pipes is not null)
        {
            onPipes!(pipes);
        }
    }

    internal int Number { get; }

    internal ProcessIdentity Identity { get; }

    /// <summary>The leader has ended: it may be reaped.</summary>
    internal bool Ended => _ended;

    public bool OnReadable(int descriptor, Span<byte> buffer)
    {
        if (Children.PeekExit(descriptor) is not { } exit)
        {
            return true;
        }

        // The last words first, also one without a line end, so that whoever hears of the end can already read them.
        for (var i = 0; i < _pipes.Length; i++)
        {
            if (_open[i] && !_pipes[i].Reader.Read(_pipes[i].Descriptor, buffer, DrainReads))
            {
                _descriptors.RemoveHere(_pipes[i].Id);
            }
        }

        _ended = true;
        _drain = _time.CreateTimer(_ => ClosePipes(), null, s_drain, Timeout.InfiniteTimeSpan);
        _onExit(exit.Code, exit.Signal);
        return false;
    }

    public void OnClosed()
    {
    }

    private void ClosePipes()
    {
        _drain?.Dispose();
        foreach (var (_, _, id) in _pipes)
        {
            _descriptors.Remove(id);
        }
    }

    private (OutputReader Reader, int Descriptor, long Id) Pipe(Microsoft.Win32.SafeHandles.SafeFileHandle pipe, int index, bool isError, ChildLog log)
    {
        var reader = new OutputReader(log, isError);
        var descriptor = (int)pipe.DangerousGetHandle();
        return (reader, descriptor, _descriptors.Add(pipe, new Closing(reader, () => _open[index] = false)));
    }

    /// <summary>Remembers on the loop's thread that a pipe is closed: its number may already mean another descriptor.</summary>
    private sealed class Closing(OutputReader reader, Action onClosed) : IReadable
    {
        public bool OnReadable(int descriptor, Span<byte> buffer) => reader.OnReadable(descriptor, buffer);

        public void OnClosed()
        {
            onClosed();
            reader.OnClosed();
        }
    }
}
