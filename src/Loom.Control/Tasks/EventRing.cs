using System.Globalization;
using System.Text;

namespace Loom.Control.Tasks;

/// <summary>Kinds of events, as on the wire.</summary>
internal enum TaskEventKind
{
    /// <summary>The place in the queue changed; only verbose readers are sent it.</summary>
    Queued,

    /// <summary>It was dispatched.</summary>
    Started,

    /// <summary>Text.</summary>
    Token,

    /// <summary>Numbers about its progress; a slow reader may miss some.</summary>
    Metrics,

    /// <summary>Done or cancelled; the last event.</summary>
    End,

    /// <summary>Failed; the last event.</summary>
    Error,
}

/// <summary>One event, ready to be sent.</summary>
/// <param name="Id">Its number in the task, from 1.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Wire">The event as it goes over the wire, blank line included.</param>
internal readonly record struct TaskEvent(long Id, TaskEventKind Kind, byte[] Wire)
{
    public bool IsTerminal => Kind is TaskEventKind.End or TaskEventKind.Error;
}

/// <summary>
/// The events of one task: numbered from 1 without gaps, the newest 4 MiB of them kept, closed by exactly one terminal event. Any number of readers follow at
/// their own pace. Safe for any thread.
/// </summary>
internal sealed class EventRing
{
    /// <summary>Bytes kept.</summary>
    public const int Room = 4 * 1024 * 1024;

    /// <summary>Events a reader may be behind before it is sent no metrics any more, and the most it is handed at once.</summary>
    public const int ReaderRoom = 32;

    private const int EventOverhead = 64;

    private static readonly string[] s_names = ["queued", "started", "token", "metrics", "end", "error"];

    private readonly Lock _gate = new();
    private readonly Queue<TaskEvent> _events = new();
    private long _bytes;
    private long _last;
    private bool _closed;
    private TaskCompletionSource? _changed;

    /// <summary>Number of the newest event; 0 = none yet.</summary>
    public long Last
    {
        get
        {
            lock (_gate)
            {
                return _last;
            }
        }
    }

    /// <summary>Bytes held.</summary>
    public long Bytes
    {
        get
        {
            lock (_gate)
            {
                return _bytes;
            }
        }
    }

    /// <summary>Adds an event. False, and nothing happens, after the terminal one.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="data">Its JSON, one line.</param>
    public bool Append(TaskEventKind kind, ReadOnlySpan<byte> data)
    {
        TaskCompletionSource? changed;
        lock (_gate)
        {
            if (_closed)
            {
                return false;
            }

            var one = new TaskEvent(++_last, kind, Wire(_last, kind, data));
            _closed = one.IsTerminal;
            _events.Enqueue(one);
            _bytes += one.Wire.Length + EventOverhead;
            // The last event may hold a large result and must not push out what a reader has not seen yet.
            while (_bytes > Room && !_closed)
            {
                _bytes -= _events.Dequeue().Wire.Length + EventOverhead;
            }

            changed = _changed;
            _changed = null;
        }

        changed?.SetResult();
        return true;
    }

    /// <summary>The next events for a reader, at most <see cref="ReaderRoom"/>.</summary>
    /// <param name="after">Number of the last event the reader has dealt with; moved on.</param>
    /// <param name="verbose">Whether it wants <see cref="TaskEventKind.Queued"/>.</param>
    /// <param name="into">Cleared and filled.</param>
    /// <returns>What the reader does next.</returns>
    public RingAnswer Take(ref long after, bool verbose, List<TaskEvent> into)
    {
        into.Clear();
        lock (_gate)
        {
            if (_events.Count == 0 || after >= _last)
            {
                return after >= _last && _closed ? RingAnswer.Over : RingAnswer.Wait;
            }

            if (after + 1 < _events.Peek().Id)
            {
                return RingAnswer.Lost;
            }

            foreach (var one in _events)
            {
                if (one.Id <= after)
                {
                    continue;
                }

                var slow = _last - one.Id >= ReaderRoom;
                if (!(one.Kind == TaskEventKind.Queued && !verbose) && !(one.Kind == TaskEventKind.Metrics && slow))
                {
                    into.Add(one);
                }

                after = one.Id;
                if (into.Count == ReaderRoom)
                {
                    break;
                }
            }

            return RingAnswer.Some;
        }
    }

    /// <summary>Ends when there is an event after the given one.</summary>
    public Task ChangedAsync(long after)
    {
        lock (_gate)
        {
            if (_last > after || _closed)
            {
                return Task.CompletedTask;
            }

            _changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _changed.Task;
        }
    }

    private static byte[] Wire(long id, TaskEventKind kind, ReadOnlySpan<byte> data)
    {
        var head = string.Create(CultureInfo.InvariantCulture, $"id: {id}\nevent: {s_names[(int)kind]}\ndata: ");
        var wire = new byte[head.Length + data.Length + 2];
        Encoding.ASCII.GetBytes(head, wire);
        data.CopyTo(wire.AsSpan(head.Length));
        "\n\n"u8.CopyTo(wire.AsSpan(head.Length + data.Length));
        return wire;
    }
}

/// <summary>What a reader of a ring does next.</summary>
internal enum RingAnswer
{
    /// <summary>Sends what it was given and asks again.</summary>
    Some,

    /// <summary>Waits for the next event.</summary>
    Wait,

    /// <summary>Ends: it has seen the terminal event.</summary>
    Over,

    /// <summary>Fails: what follows its position is no longer kept.</summary>
    Lost,
}
