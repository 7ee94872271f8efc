using Loom.Harness.Expressions;

namespace Loom.Harness.Telemetry;

/// <summary>
/// The metrics of one run for expressions: the newest values, and the values of the past for the windows somebody watches. What is kept is bounded by what is asked: at most
/// <see cref="MostSamples"/> sums for each window, whatever its length. Fed by one loop; read by any thread.
/// </summary>
/// <param name="read">The series of a metric now.</param>
/// <param name="view">Looks at the run.</param>
/// <param name="time">Clock.</param>
internal sealed class MetricHistory(Func<string, MetricView, IEnumerable<MetricPoint>> read, Func<MetricView> view, TimeProvider time) : IMetricValues
{
    /// <summary>Samples of one window.</summary>
    public const int MostSamples = 300;

    /// <summary>How often <see cref="Sample"/> is to be called.</summary>
    public static readonly TimeSpan Every = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<MetricQuery, Window> _windows = [];
    private volatile MetricView? _view;

    /// <summary>Begins to keep what the windows of an expression need; an expression that is not watched has no values for its windows at first.</summary>
    public void Watch(MetricExpression expression)
    {
        foreach (var query in expression.Windows)
        {
            lock (_lock)
            {
                _windows.TryAdd(query, new Window(query.Length, time));
            }
        }
    }

    /// <summary>Takes a new look at the run, and a sample for every window whose turn it is.</summary>
    public void Sample()
    {
        var now = view();
        _view = now;
        KeyValuePair<MetricQuery, Window>[] windows;
        lock (_lock)
        {
            windows = [.. _windows];
        }

        foreach (var (query, window) in windows)
        {
            if (window.IsDue && Sum(query.Metric, query.Labels, now, out var value))
            {
                window.Add(value);
            }
        }
    }

    public bool TryRead(string metric, IReadOnlyDictionary<string, string> labels, out double value) => Sum(metric, labels, _view ?? view(), out value);

    public bool TryWindow(MetricWindow function, string metric, IReadOnlyDictionary<string, string> labels, TimeSpan window, out double value)
    {
        Window? kept;
        var query = new MetricQuery(metric, labels, window);
        lock (_lock)
        {
            if (!_windows.TryGetValue(query, out kept))
            {
                _windows[query] = new Window(window, time);
            }
        }

        value = 0;
        return kept?.TryWork(function, out value) ?? false;
    }

    private bool Sum(string metric, IReadOnlyDictionary<string, string> labels, MetricView at, out double value)
    {
        value = 0;
        var any = false;
        foreach (var point in read(metric, at))
        {
            if (labels.Count == 0 || point.Has(labels))
            {
                value += point.Value;
                any = true;
            }
        }

        return any;
    }

    private sealed class Window(TimeSpan length, TimeProvider time)
    {
        private readonly Lock _lock = new();
        private readonly Queue<(long At, double Value)> _samples = [];
        private readonly TimeSpan _every = length / MostSamples > Every ? length / MostSamples : TimeSpan.Zero;
        private (long At, double Value) _newest;

        public bool IsDue
        {
            get
            {
                lock (_lock)
                {
                    return _samples.Count == 0 || time.GetElapsedTime(_newest.At) >= _every;
                }
            }
        }

        public void Add(double value)
        {
            lock (_lock)
            {
                _newest = (time.GetTimestamp(), value);
                _samples.Enqueue(_newest);
                // One sample from before the window stays: the increase over the whole of it begins there.
                while (_samples.Count > 2 && IsOld(_samples.ElementAt(1).At))
                {
                    _samples.Dequeue();
                }
            }
        }

        public bool TryWork(MetricWindow function, out double value)
        {
            lock (_lock)
            {
                value = 0;
                if (_samples.Count == 0 || (function == MetricWindow.Rate && _samples.Count < 2))
                {
                    return false;
                }

                if (function == MetricWindow.Rate)
                {
                    var first = _samples.Peek();
                    value = (_newest.Value - first.Value) / time.GetElapsedTime(first.At, _newest.At).TotalSeconds;
                    return double.IsFinite(value);
                }

                var inside = _samples.Where(s => !IsOld(s.At)).Select(s => s.Value).DefaultIfEmpty(_newest.Value);
                value = function switch
                {
                    MetricWindow.Avg => inside.Average(),
                    MetricWindow.Min => inside.Min(),
                    _ => inside.Max(),
                };
                return true;
            }
        }

        private bool IsOld(long at) => time.GetElapsedTime(at, _newest.At) > length;
    }
}
