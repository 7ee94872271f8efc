using System.Globalization;
using System.Text.Json;
using Loom.Components;
using Loom.Harness.Components.BuiltIns.Transform;
using Loom.Harness.Expressions;

namespace Loom.Harness.Components.BuiltIns.Keyed;

/// <summary>
/// Groups events by key and window and sends one event for each window that closes. In event time a window closes when an event arrives that is
/// later than its end by the lateness, whatever its key; at the end of the inputs all windows close.
/// </summary>
[Component("accumulate", Type = ComponentType.Accumulator, StateVersion = 1, OneAtATime = true,
    Summary = "Groups events by key and window and sends, for each window that closes, its aggregates: {key, start, end, ...}. Open windows are part of checkpoints; ids are component/key/window.")]
internal sealed class AccumulateAccumulator : Accumulator<JsonElement, Window, JsonElement>
{
    // How often the clock is looked at where it closes windows.
    private static readonly TimeSpan s_tick = TimeSpan.FromMilliseconds(100);

    private readonly AccumulateOptions _options;
    private readonly TimeProvider _time;
    private readonly (string Name, AggregateOp Op, Expression? Of)[] _aggregates;
    private readonly Value[] _values;
    private readonly List<long> _starts = [];
    private readonly List<int> _found = [];
    private WindowTable _table;
    private string _name = "accumulate";
    private long _watermark = long.MinValue;
    private DateTimeOffset _lastArrival;

    public AccumulateAccumulator(AccumulateOptions options, TimeProvider time)
    {
        _options = options;
        _time = time;
        _aggregates = [.. options.Aggregates.Select(a => (a.Key, a.Value.Op, a.Value.Of))];
        _values = new Value[_aggregates.Length];
        _table = new WindowTable(options.MaxWindows, _aggregates.Length, ClosesByTime);
    }

    protected internal override TimeSpan? Tick => _options.Window != WindowKind.Count && (_options.Time == WindowTime.Processing || _options.Idle is not null) ? s_tick : null;

    private bool ClosesByTime => _options.Window != WindowKind.Count;

    protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct)
    {
        _name = ctx.Name;
        _lastArrival = _time.GetUtcNow();
        return default;
    }

    protected override async ValueTask OnItemAsync(Event<JsonElement> e, Emitter<JsonElement> output, CancellationToken ct)
    {
        var isText = true;
        var key = _options.Key is null ? "*" : _options.Key.Key(e, out isText);
        for (var i = 0; i < _aggregates.Length; i++)
        {
            var (_, op, of) = _aggregates[i];
            _values[i] = of is null ? Value.True : op is AggregateOp.First or AggregateOp.Last or AggregateOp.Collect or AggregateOp.Distinct ? Value.Of(of.Evaluate(e)) : of.Run(e);
        }

        // Only reading until here: an event that fails has changed nothing.
        var ticks = _options.Time == WindowTime.Processing ? _time.GetUtcNow().UtcTicks : e.Time.UtcTicks;
        if (_options.Time == WindowTime.Processing)
        {
            await CloseDueAsync(ticks, output, ct).ConfigureAwait(false);
        }

        var full = Take(e, key, isText, ticks);
        if (full is { } done)
        {
            await SendAsync(done, isText, output, ct).ConfigureAwait(false);
        }

        _lastArrival = _options.Idle is null ? default : _time.GetUtcNow();
        if (_options.Time == WindowTime.Event && ClosesByTime)
        {
            await CloseDueAsync(ticks - _options.Lateness.Ticks, output, ct).ConfigureAwait(false);
        }
    }

    protected internal override ValueTask OnTickAsync(DateTimeOffset now, Emitter<JsonElement> output, CancellationToken ct) =>
        _options.Time == WindowTime.Processing ? CloseDueAsync(now.UtcTicks, output, ct)
        : _options.Idle is { } idle && now - _lastArrival >= idle ? CloseDueAsync(now.UtcTicks - _options.Lateness.Ticks, output, ct)
        : default;

    protected internal override async ValueTask FlushAsync(bool end, Emitter<JsonElement> output, CancellationToken ct)
    {
        if (!end)
        {
            return;
        }

        foreach (var (window, key) in _table.All())
        {
            _table.Close(key, key.Open.IndexOf(window));
            await SendAsync(window, key.IsText, output, ct).ConfigureAwait(false);
        }
    }

    protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct)
    {
        var frozen = _table.Freeze();
        var watermark = _watermark;
        return new(async (into, token) =>
        {
            try
            {
                await WindowState.WriteAsync(into, frozen, watermark, token).ConfigureAwait(false);
            }
            finally
            {
                frozen.Done();
            }
        });
    }

    protected internal override async ValueTask RestoreAsync(RestoredState state, CancellationToken ct)
    {
        var table = new WindowTable(_options.MaxWindows, _aggregates.Length, ClosesByTime);
        _watermark = await WindowState.ReadAsync(state.Content, table, [.. _aggregates.Select(a => (a.Name, a.Op))], ct).ConfigureAwait(false);
        _table = table;
    }

    // A window that is full by this event, of a count.
    private Window? Take(in Event<JsonElement> e, string key, bool isText, long ticks)
    {
        if (ClosesByTime && _options.Window != WindowKind.Session)
        {
            TakeFixed(e, key, isText, ticks);
            return null;
        }

        return _options.Window == WindowKind.Session ? TakeSession(e, key, isText, ticks) : TakeCounted(e, key, isText, ticks);
    }

    private void TakeFixed(in Event<JsonElement> e, string key, bool isText, long ticks)
    {
        var size = _options.Size!.Value.Ticks;
        FindStarts(ticks, size);
        if (_starts.Count == 0)
        {
            throw Late(ticks);
        }

        var windows = _table.Find(key);
        _found.Clear();
        var missing = 0;
        foreach (var start in _starts)
        {
            var index = windows?.IndexOf(start) ?? -1;
            _found.Add(index);
            missing += index < 0 ? 1 : 0;
            Check(index < 0 ? null : windows!.Open[index]);
        }

        _table.Reserve(missing);
        for (var i = 0; i < _starts.Count; i++)
        {
            Add(_found[i] >= 0 ? _table.Own(windows!, _found[i]) : _table.Open(key, isText, _starts[i], _starts[i] + size), e, ticks);
        }
    }

    // Starts of the windows that hold a time and are still open.
    private void FindStarts(long ticks, long size)
    {
        _starts.Clear();
        if (_options.Window == WindowKind.Tumbling)
        {
            _starts.Add(WindowRules.Tumbling(ticks, size));
        }
        else
        {
            _starts.AddRange(WindowRules.Sliding(ticks, size, _options.Every!.Value.Ticks));
        }

        // The earliest come first, so what is closed stands at the front.
        while (_starts.Count > 0 && _starts[0] + size <= _watermark)
        {
            _starts.RemoveAt(0);
        }
    }

    // Sessions that touch the event's own [t, t + gap) become one.
    private Window? TakeSession(in Event<JsonElement> e, string key, bool isText, long ticks)
    {
        var end = ticks + _options.Gap!.Value.Ticks;
        var windows = _table.Find(key);
        var touching = windows?.Open.FindIndex(w => w.Start < end && ticks < w.End) ?? -1;
        if (windows is null || touching < 0)
        {
            if (end <= _watermark)
            {
                throw Late(ticks);
            }

            Check(null);
            _table.Reserve(1);
            Add(_table.Open(key, isText, ticks, end), e, ticks);
            return null;
        }

        Check(windows.Open[touching]);
        var session = _table.Own(windows, touching);
        session.Start = Math.Min(session.Start, ticks);
        session.End = Math.Max(session.End, end);
        Add(session, e, ticks);
        for (var other = windows.Open.FindIndex(w => w != session && w.Start < session.End && session.Start < w.End); other >= 0;
            other = windows.Open.FindIndex(w => w != session && w.Start < session.End && session.Start < w.End))
        {
            Merge(session, _table.Close(windows, other));
        }

        return null;
    }

    private Window? TakeCounted(in Event<JsonElement> e, string key, bool isText, long ticks)
    {
        var windows = _table.Find(key);
        var isOpen = windows?.Open.Count > 0;
        Check(isOpen ? windows!.Open[0] : null);
        if (!isOpen)
        {
            _table.Reserve(1);
        }

        var window = isOpen ? _table.Own(windows!, 0) : _table.Open(key, isText, ticks, ticks);
        window.Start = Math.Min(window.Start, ticks);
        window.End = Math.Max(window.End, ticks);
        Add(window, e, ticks);
        return window.Events == _options.Count ? _table.Close(windows ?? _table.Find(key)!, 0) : null;
    }

    private void Check(Window? window)
    {
        for (var i = 0; i < _aggregates.Length; i++)
        {
            (window?.Aggregates[i] ?? default).Check(_aggregates[i].Op, _values[i], _options.MaxValues, _aggregates[i].Name);
        }
    }

    private void Add(Window window, in Event<JsonElement> e, long ticks)
    {
        window.Events++;
        window.Mock |= e.Mock;
        for (var i = 0; i < _aggregates.Length; i++)
        {
            window.Aggregates[i].Add(_aggregates[i].Op, _values[i], ticks);
        }
    }

    private void Merge(Window into, Window other)
    {
        into.Start = Math.Min(into.Start, other.Start);
        into.End = Math.Max(into.End, other.End);
        into.Events += other.Events;
        into.Mock |= other.Mock;
        for (var i = 0; i < _aggregates.Length; i++)
        {
            into.Aggregates[i].Merge(_aggregates[i].Op, other.Aggregates[i]);
        }
    }

    private async ValueTask CloseDueAsync(long watermark, Emitter<JsonElement> output, CancellationToken ct)
    {
        _watermark = Math.Max(_watermark, watermark);
        while (_table.NextDue(_watermark, out var key) is { } window)
        {
            await SendAsync(window, key!.IsText, output, ct).ConfigureAwait(false);
        }
    }

    private ValueTask SendAsync(Window window, bool isText, Emitter<JsonElement> output, CancellationToken ct)
    {
        var payload = Payloads.Writer;
        var json = payload.Begin();
        if (_options.Key is not null)
        {
            json.WritePropertyName("key"u8);
            if (isText)
            {
                json.WriteStringValue(window.Key);
            }
            else
            {
                json.WriteRawValue(window.Key, skipInputValidation: true);
            }
        }

        json.WriteString("start"u8, Text(window.Start));
        json.WriteString("end"u8, Text(window.End));
        for (var i = 0; i < _aggregates.Length; i++)
        {
            json.WritePropertyName(_aggregates[i].Name);
            window.Aggregates[i].Write(_aggregates[i].Op, json);
        }

        var name = _options.Window == WindowKind.Count ? window.Number.ToString(CultureInfo.InvariantCulture) : Text(window.Start);
        var key = _options.Key is null ? null : window.Key;
        var id = EventId.Parse($"{_name}/{window.Key}/{name}");
        return output.SendAsync(new Event<JsonElement>(id, payload.End(), key, new DateTimeOffset(window.End, TimeSpan.Zero), window.Mock), ct);
    }

    private ItemException Late(long ticks) => new("late",
        $"the event of {Text(ticks)} came after its window had closed (windows are closed up to {Text(_watermark)}); raise lateness ({_options.Lateness.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s) to wait longer");

    private static string Text(long ticks) => TimeText.Text(new DateTimeOffset(Math.Clamp(ticks, 0, DateTimeOffset.MaxValue.Ticks), TimeSpan.Zero));
}
