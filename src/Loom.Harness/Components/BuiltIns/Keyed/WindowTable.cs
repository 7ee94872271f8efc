using Loom.Components;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>
/// The open windows of all keys. Freezing them for a checkpoint copies references only; while the frozen ones are being written, a window is
/// copied before it is changed.
/// </summary>
/// <param name="maxWindows">Windows, and keys, there may be at once.</param>
/// <param name="aggregates">Aggregates of a window.</param>
/// <param name="closesByTime">Whether windows are due at their end; otherwise keys are kept, which number their windows.</param>
internal sealed class WindowTable(int maxWindows, int aggregates, bool closesByTime)
{
    private readonly Dictionary<string, KeyWindows> _keys = new(StringComparer.Ordinal);
    private readonly PriorityQueue<(string Key, long Serial), (long End, string Key)> _due = new(Comparer<(long End, string Key)>.Create(
        static (a, b) => a.End != b.End ? a.End.CompareTo(b.End) : string.CompareOrdinal(a.Key, b.Key)));

    private long _serial;
    private int _epoch;
    private int _writers;

    /// <summary>Windows open over all keys.</summary>
    public int Count { get; private set; }

    /// <summary>What is open of a key; null when nothing is known of it.</summary>
    public KeyWindows? Find(string key) => _keys.GetValueOrDefault(key);

    /// <summary>Refuses an event that would need more windows than there may be.</summary>
    /// <exception cref="ItemException">There are too many: <c>too_many_windows</c>.</exception>
    public void Reserve(int windows)
    {
        if (Count + windows > maxWindows || _keys.Count > maxWindows)
        {
            throw new ItemException("too_many_windows",
                $"{Count} windows of {_keys.Count} keys are open, as many as max_windows ({maxWindows}) allows; raise it, or choose a key with fewer values or shorter windows");
        }
    }

    /// <summary>Opens a window.</summary>
    public Window Open(string key, bool isText, long start, long end)
    {
        var windows = Of(key, isText);
        var window = new Window { Serial = ++_serial, Key = key, Number = windows.Begun++, Start = start, End = end, Aggregates = new Aggregate[aggregates], Epoch = _epoch };
        Put(windows, window);
        return window;
    }

    /// <summary>The window as it may be changed.</summary>
    public Window Own(KeyWindows windows, int index)
    {
        var window = windows.Open[index];
        if (window.Epoch != _epoch && Volatile.Read(ref _writers) > 0)
        {
            windows.Open[index] = window = window.Copy(_epoch);
        }

        return window;
    }

    /// <summary>Takes a window out: it is closed, or another one has taken it in.</summary>
    public Window Close(KeyWindows windows, int index)
    {
        var window = windows.Open[index];
        windows.Open.RemoveAt(index);
        Count--;
        if (windows.Open.Count == 0 && closesByTime)
        {
            _keys.Remove(window.Key);
        }

        return window;
    }

    /// <summary>Takes out the next window whose end has come, in the order of ends and then of keys.</summary>
    /// <param name="now">Ticks of UTC.</param>
    /// <param name="windows">Its key.</param>
    public Window? NextDue(long now, out KeyWindows? windows)
    {
        while (_due.TryPeek(out var entry, out var order) && order.End <= now)
        {
            _due.Dequeue();
            var index = _keys.TryGetValue(entry.Key, out windows) ? windows.Open.FindIndex(w => w.Serial == entry.Serial) : -1;
            if (index < 0)
            {
                continue;
            }

            var window = windows!.Open[index];
            if (window.End == order.End)
            {
                return Close(windows, index);
            }

            // A session that grew meanwhile: its turn comes at its present end, so that the order does not depend on how it grew.
            _due.Enqueue(entry, (window.End, window.Key));
        }

        windows = null;
        return null;
    }

    /// <summary>All open windows by key, each with what is known of its key, in the order of ends and then of keys.</summary>
    public IEnumerable<(Window Window, KeyWindows Key)> All() => _keys.Values.SelectMany(k => k.Open.Select(w => (w, k)))
        .OrderBy(e => e.w.End).ThenBy(e => e.w.Key, StringComparer.Ordinal).ThenBy(e => e.w.Serial).ToList();

    /// <summary>The state as it is now, to be written while the table goes on.</summary>
    public FrozenWindows Freeze()
    {
        _epoch++;
        Interlocked.Increment(ref _writers);
        var windows = new Window[Count];
        var keys = new List<(string Key, bool IsText, long Begun)>();
        var next = 0;
        foreach (var (key, entry) in _keys)
        {
            foreach (var window in entry.Open)
            {
                windows[next++] = window;
            }

            if (!closesByTime || !entry.IsText)
            {
                keys.Add((key, entry.IsText, entry.Begun));
            }
        }

        return new FrozenWindows(windows, keys, () => Interlocked.Decrement(ref _writers));
    }

    public void RestoreKey(string key, bool isText, long begun) => Of(key, isText).Begun = begun;

    public void Restore(Window window)
    {
        var windows = Of(window.Key, isText: true);
        windows.Begun = Math.Max(windows.Begun, window.Number + 1);
        _serial = Math.Max(_serial, window.Serial);
        Put(windows, window);
    }

    private void Put(KeyWindows windows, Window window)
    {
        windows.Open.Add(window);
        Count++;
        if (closesByTime)
        {
            _due.Enqueue((window.Key, window.Serial), (window.End, window.Key));
        }
    }

    private KeyWindows Of(string key, bool isText)
    {
        if (!_keys.TryGetValue(key, out var windows))
        {
            _keys[key] = windows = new KeyWindows(isText);
        }

        return windows;
    }
}

/// <summary>Windows at the moment of a checkpoint.</summary>
/// <param name="Windows">All that were open.</param>
/// <param name="Keys">Keys of which more must be kept than their windows tell.</param>
/// <param name="Done">To be called once they are written.</param>
internal sealed record FrozenWindows(Window[] Windows, IReadOnlyList<(string Key, bool IsText, long Begun)> Keys, Action Done);
