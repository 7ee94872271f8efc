using System.Globalization;

namespace Loom.Cli.Terminal;

/// <summary>Where a task of the board stands.</summary>
public enum TaskMark
{
    Waiting,
    Running,
    Done,
    Failed,
}

/// <summary>
/// Progress of long work on stderr. On a terminal an aligned list redrawn in place; elsewhere one line a change and a heartbeat every 15 s while
/// something runs, so that a log shows life without flooding.
/// </summary>
public sealed class TaskBoard : IDisposable
{
    private static readonly TimeSpan s_redraw = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_heartbeat = TimeSpan.FromSeconds(15);
    private readonly Lock _gate = new();
    private readonly Terminal _terminal;
    private readonly TimeProvider _time;
    private readonly List<Item> _items = [];
    private readonly ITimer _timer;
    private int _drawn;
    private long _lastLine;
    private bool _closed;

    public TaskBoard(Terminal terminal, TimeProvider time)
    {
        _terminal = terminal;
        _time = time;
        _lastLine = time.GetTimestamp();
        var period = terminal.ErrIsTerminal ? s_redraw : s_heartbeat;
        _timer = time.CreateTimer(_ => Tick(), null, period, period);
    }

    /// <summary>Shows a task, or changes what is shown of it.</summary>
    /// <param name="name">Identity and first column.</param>
    /// <param name="mark">Where it stands.</param>
    /// <param name="text">What is being done or was found.</param>
    /// <param name="percent">Progress, or null.</param>
    public void Set(string name, TaskMark mark, string text, int? percent = null)
    {
        lock (_gate)
        {
            var item = _items.Find(i => string.Equals(i.Name, name, StringComparison.Ordinal));
            if (item is null)
            {
                item = new Item(name, _time.GetTimestamp());
                _items.Add(item);
            }

            var changed = item.Mark != mark || !string.Equals(item.Text, text, StringComparison.Ordinal);
            if (changed && mark != item.Mark && mark is TaskMark.Done or TaskMark.Failed)
            {
                item.Took = _time.GetElapsedTime(item.Started);
            }

            (item.Mark, item.Text, item.Percent) = (mark, text, percent);
            if (changed && !_terminal.ErrIsTerminal && !_closed)
            {
                PrintLine(item);
            }
        }
    }

    /// <summary>Prints a line above the list.</summary>
    public void Print(string line)
    {
        lock (_gate)
        {
            Erase();
            _terminal.Err.WriteLine(line);
            if (!_closed)
            {
                Draw();
            }
        }
    }

    /// <summary>Leaves the final list standing and stops redrawing; later changes are not shown.</summary>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_gate)
        {
            if (!_closed)
            {
                Erase();
                Draw(last: true);
                _drawn = 0;
                _closed = true;
            }
        }
    }

    private void Tick()
    {
        lock (_gate)
        {
            if (_closed || _terminal.Quiet)
            {
                return;
            }

            if (_terminal.ErrIsTerminal)
            {
                Erase();
                Draw();
            }
            else if (_items.Find(i => i.Mark == TaskMark.Running) is { } running && _time.GetElapsedTime(_lastLine) >= s_heartbeat)
            {
                PrintLine(running);
            }
        }
    }

    private void PrintLine(Item item)
    {
        if (!_terminal.Quiet)
        {
            _lastLine = _time.GetTimestamp();
            _terminal.Err.WriteLine($"{Glyph(item.Mark)} {item.Name}: {item.Text}{Percent(item)} ({Elapsed(item)})");
        }
    }

    private void Erase()
    {
        if (_drawn > 0 && _terminal.ErrIsTerminal)
        {
            _terminal.Err.Write($"\e[{_drawn}A\e[0J");
            _drawn = 0;
        }
    }

    // A line that wraps cannot be erased by counting lines; only the last picture, which stays, is not cut.
    private void Draw(bool last = false)
    {
        if (!_terminal.ErrIsTerminal || _terminal.Quiet || _items.Count == 0)
        {
            return;
        }

        var width = _items.Max(i => i.Name.Length);
        foreach (var item in _items)
        {
            var tone = item.Mark switch
            {
                TaskMark.Done => Tone.Good,
                TaskMark.Failed => Tone.Bad,
                TaskMark.Running => Tone.Busy,
                _ => Tone.Dim,
            };
            var text = Bar(item) + item.Text + Percent(item);
            var room = _terminal.Width - width - 12;
            if (!last && room > 0 && text.Length > room)
            {
                text = string.Concat(text.AsSpan(0, room - 1), "…");
            }

            _terminal.Err.WriteLine($"{_terminal.Paint(tone, Glyph(item.Mark))} {item.Name.PadRight(width)}  {Elapsed(item),6}  {text}");
        }

        _drawn = _items.Count;
    }

    private static string Glyph(TaskMark mark) => mark switch
    {
        TaskMark.Done => "✔",
        TaskMark.Failed => "✘",
        TaskMark.Running => "●",
        _ => "○",
    };

    private static string Bar(Item item)
    {
        const int Width = 20;
        var full = item is { Percent: { } percent, Mark: TaskMark.Running } ? Math.Clamp(percent * Width / 100, 0, Width) : -1;
        return full < 0 ? "" : $"[{new string('#', full)}{new string('.', Width - full)}] ";
    }

    private static string Percent(Item item) => item is { Percent: { } percent, Mark: TaskMark.Running } ? $" {percent} %" : "";

    private string Elapsed(Item item) => (item.Took ?? _time.GetElapsedTime(item.Started)).TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture) + "s";

    private sealed class Item(string name, long started)
    {
        public string Name { get; } = name;

        public long Started { get; } = started;

        public TaskMark Mark { get; set; }

        public string Text { get; set; } = "";

        public int? Percent { get; set; }

        public TimeSpan? Took { get; set; }
    }
}
