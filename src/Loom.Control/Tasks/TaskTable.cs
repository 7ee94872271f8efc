using System.Diagnostics.CodeAnalysis;
using Loom.Core.Web;

namespace Loom.Control.Tasks;

/// <summary>
/// The tasks there are, by owner and id, in the order of their acceptance. What has ended is forgotten after its retention, earlier when too much of it is
/// kept. Every method is a short step under one lock.
/// </summary>
internal sealed class TaskTable(TimeSpan retention, TimeProvider time)
{
    /// <summary>Ended tasks kept at most.</summary>
    public const int MostEnded = 10_000;

    private const long MostEndedBytes = 256L * 1024 * 1024;

    private readonly Lock _gate = new();
    private readonly Dictionary<(string Owner, string Id), TaskEntry> _tasks = [];
    private readonly LinkedList<TaskEntry> _order = [];
    private readonly Queue<(TaskEntry Task, long At, long Bytes)> _ended = new();
    private long _endedBytes;
    private long _sequence;

    /// <summary>The next number in the order of acceptance.</summary>
    public long NextSequence() => Interlocked.Increment(ref _sequence);

    /// <summary>Adds a task unless its owner has one of that id, which is then returned.</summary>
    public bool TryAdd(TaskEntry task, [NotNullWhen(false)] out TaskEntry? known)
    {
        lock (_gate)
        {
            Expire();
            if (_tasks.TryGetValue((task.Owner, task.Id), out known))
            {
                return false;
            }

            _tasks.Add((task.Owner, task.Id), task);
            _order.AddLast(task);
            return true;
        }
    }

    /// <summary>Removes a task that was refused.</summary>
    public void Remove(TaskEntry task)
    {
        lock (_gate)
        {
            Forget(task);
        }
    }

    /// <summary>Its retention begins.</summary>
    /// <param name="task">The task.</param>
    /// <param name="ago">How long ago it ended.</param>
    public void Ended(TaskEntry task, TimeSpan ago)
    {
        lock (_gate)
        {
            var bytes = task.Events.Bytes + (2L * (task.View.Text?.Length ?? 0));
            _ended.Enqueue((task, time.GetTimestamp() - (long)(ago.TotalSeconds * time.TimestampFrequency), bytes));
            _endedBytes += bytes;
            Expire();
        }
    }

    /// <summary>Forgets what is past its retention.</summary>
    public void Sweep()
    {
        lock (_gate)
        {
            Expire();
        }
    }

    /// <summary>A task the caller may see, or null.</summary>
    public TaskEntry? Find(Caller caller, string id)
    {
        lock (_gate)
        {
            Expire();
            return _tasks.TryGetValue((caller.Name, id), out var own) ? own
                : (caller.Scopes & Scopes.Manage) != 0 ? _order.FirstOrDefault(t => t.Id == id)
                : null;
        }
    }

    /// <summary>All tasks in the order of their acceptance.</summary>
    public IReadOnlyList<TaskEntry> All()
    {
        lock (_gate)
        {
            Expire();
            return [.. _order];
        }
    }

    private void Expire()
    {
        while (_ended.TryPeek(out var oldest) && (time.GetElapsedTime(oldest.At) >= retention || _ended.Count > MostEnded || _endedBytes > MostEndedBytes))
        {
            _ended.Dequeue();
            _endedBytes -= oldest.Bytes;
            Forget(oldest.Task);
        }
    }

    private void Forget(TaskEntry task)
    {
        // A refused one may have been replaced by the next try.
        if (_tasks.TryGetValue((task.Owner, task.Id), out var known) && ReferenceEquals(known, task))
        {
            _tasks.Remove((task.Owner, task.Id));
            _order.Remove(task);
        }
    }
}
