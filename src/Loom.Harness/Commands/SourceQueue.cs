namespace Loom.Harness.Commands;

/// <summary>
/// Events of a source between its program, which sends them, and the loop, which reads them: at most a thousand ahead. Knows which offset each has, also of the one
/// handed out last, since at a checkpoint nobody but the loop knows whether that one went before the barrier or will go behind it.
/// </summary>
internal sealed class SourceQueue
{
    private const int ReadAhead = 1000;

    private readonly Lock _gate = new();
    private readonly Queue<ChildEmit> _waiting = new();
    private ChildEmit? _last;
    private TaskCompletionSource? _room;
    private TaskCompletionSource? _more;
    private (long First, IReadOnlyList<ChildEmit> Pending) _marked = (0, []);
    private long _next;
    private long _sinceState;
    private long _toSkip;
    private bool _frozen;
    private bool _closed;
    private bool _ended;

    /// <summary>Adds one; waits while a thousand are unread, which holds the program back.</summary>
    public async ValueTask AddAsync(ChildEmit emit)
    {
        Task room;
        lock (_gate)
        {
            if (_toSkip > 0)
            {
                _toSkip--; // sent before the crash, from the same state
                return;
            }

            _sinceState++;
            _waiting.Enqueue(emit);
            Wake(ref _more);
            if (_waiting.Count < ReadAhead || _frozen || _closed)
            {
                return;
            }

            room = (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
        }

        await room.ConfigureAwait(false);
    }

    /// <summary>The program has no more.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ended = true;
            Wake(ref _more);
        }
    }

    /// <summary>Takes the next one, or null at the end; false when there is none yet, and <paramref name="more"/> completes when it is worth looking again.</summary>
    public bool TryTake(out ChildEmit? emit, out long offset, out Task more)
    {
        lock (_gate)
        {
            more = Task.CompletedTask;
            emit = null;
            offset = _next;
            if (!_frozen && _waiting.TryDequeue(out emit))
            {
                _last = emit;
                _next++;
                if (_waiting.Count < ReadAhead / 2)
                {
                    Wake(ref _room);
                }

                return true;
            }

            if (!_frozen && _ended)
            {
                return true;
            }

            more = (_more ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            return false;
        }
    }

    /// <summary>Hands nothing out until <see cref="Thaw"/>, and takes everything in.</summary>
    public void Freeze()
    {
        lock (_gate)
        {
            _frozen = true;
            Wake(ref _room);
        }
    }

    /// <summary>The program has told its state just now: what is here came before it, what follows comes after.</summary>
    public void Mark()
    {
        lock (_gate)
        {
            _sinceState = 0;
            _marked = _last is null ? (_next, [.. _waiting]) : (_next - 1, [_last, .. _waiting]);
        }
    }

    /// <summary>Hands out again. Everything that was here at the last mark, with the one handed out last, and the offset of the first of them.</summary>
    public (long First, IReadOnlyList<ChildEmit> Pending) Thaw()
    {
        lock (_gate)
        {
            _frozen = false;
            Wake(ref _more);
            return _marked;
        }
    }

    /// <summary>Takes over what <see cref="Thaw"/> told in an earlier run.</summary>
    public void Restore(long first, IEnumerable<ChildEmit> pending)
    {
        lock (_gate)
        {
            _next = first;
            foreach (var emit in pending)
            {
                _waiting.Enqueue(emit);
            }
        }
    }

    /// <summary>What comes before an offset was sent before the barrier.</summary>
    public void Seek(long next)
    {
        lock (_gate)
        {
            while (_next < next && _waiting.TryDequeue(out _))
            {
                _next++;
            }

            _next = next;
        }
    }

    /// <summary>The program crashed and begins anew: from its last state, so that it sends again what it had sent since, or from wherever it begins.</summary>
    public void Again(bool fromState)
    {
        lock (_gate)
        {
            _toSkip = fromState ? _sinceState : 0;
            _ended = false;
        }
    }

    /// <summary>Nobody reads any more: nobody waits either.</summary>
    public void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Wake(ref _room);
        }
    }

    private static void Wake(ref TaskCompletionSource? waiting)
    {
        waiting?.TrySetResult();
        waiting = null;
    }
}
