using System.Collections.Frozen;

namespace Loom.Harness.Expressions;

/// <summary>Names are metrics.</summary>
/// <param name="metrics">All there are; null takes any.</param>
internal sealed class MetricScope(IReadOnlyCollection<string>? metrics) : Scope
{
    private static readonly FrozenDictionary<string, MetricWindow> s_windows = new Dictionary<string, MetricWindow>
    {
        ["rate"] = MetricWindow.Rate, ["avg"] = MetricWindow.Avg, ["min"] = MetricWindow.Min, ["max"] = MetricWindow.Max,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    public override IReadOnlyList<string> Variables { get; } = [.. (metrics ?? []).Order(StringComparer.Ordinal)];

    /// <summary>Every window that was read.</summary>
    public List<MetricQuery> Windows { get; } = [];

    public override bool HasData => false;

    public override IReadOnlyList<string> Functions { get; } = [.. s_windows.Keys.Order(StringComparer.Ordinal), "value"];

    public override Node? Variable(string name) => IsKnown(name) ? new MetricNode(name, FrozenDictionary<string, string>.Empty, null, default, name) : null;

    public override Node Call(Parser parser, Token name)
    {
        var metric = parser.Current;
        if (metric.Kind != TokenKind.Name)
        {
            throw parser.Unexpected($"the name of a metric, as in {name.Text}(items_total{(name.Text == "value" ? ", {\"component\": \"clean\"}" : ", \"1m\"")}),");
        }

        if (!IsKnown(metric.Text))
        {
            var near = Nearest(metric.Text, Variables) is { } known ? $"; did you mean \"{known}\"?" : "";
            throw parser.Error(metric.Position, $"there is no metric \"{metric.Text}\"{near} (metrics: {string.Join(", ", Variables)})");
        }

        parser.Advance();
        var isWindow = s_windows.TryGetValue(name.Text, out var function);
        var window = TimeSpan.Zero;
        if (isWindow)
        {
            parser.Expect(",", "\",\" and a time");
            window = Window(parser);
        }

        var labels = FrozenDictionary<string, string>.Empty;
        if (parser.Current.Is(","))
        {
            parser.Advance();
            labels = Labels(parser);
        }

        parser.Expect(")", "\")\"");
        if (isWindow)
        {
            Windows.Add(new MetricQuery(metric.Text, labels, window));
        }

        return new MetricNode(metric.Text, labels, isWindow ? function : null, window, parser.Since(name.Position));
    }

    // What components define is known only once they run.
    private bool IsKnown(string name) => metrics is null || metrics.Contains(name)
        || (name.StartsWith(Telemetry.SystemMetrics.OwnPrefix, StringComparison.Ordinal) && Nearest(name, Variables) is null);

    private static TimeSpan Window(Parser parser)
    {
        var position = parser.Current.Position;
        var span = parser.ParseExpression() is not ConstantNode { Value: var value } ? TimeSpan.Zero
            : value.Kind == Kind.Duration ? value.Duration
            : value.Kind == Kind.String && TimeText.TryParseDuration(value.String, out var parsed) ? parsed : TimeSpan.Zero;
        return span > TimeSpan.Zero ? span : throw parser.Error(position, "a time is wanted here, written as \"30s\", \"5m\" or \"1h\"");
    }

    private static FrozenDictionary<string, string> Labels(Parser parser)
    {
        var position = parser.Current.Position;
        var labels = new Dictionary<string, string>(StringComparer.Ordinal);
        if (parser.ParseExpression() is ConstantNode { Value: { Kind: Kind.Map } map })
        {
            for (var items = new Items(map); items.MoveNext();)
            {
                labels[items.Name] = items.Member.Kind == Kind.String ? items.Member.String : throw parser.Error(position, $"the label {items.Name} must be a string");
            }

            return labels.ToFrozenDictionary(StringComparer.Ordinal);
        }

        throw parser.Error(position, "labels are written as {\"component\": \"clean\"}");
    }
}

/// <summary>A metric's newest value, or one made of a window.</summary>
internal sealed class MetricNode : Node
{
    private readonly string _metric;
    private readonly IReadOnlyDictionary<string, string> _labels;
    private readonly MetricWindow? _function;
    private readonly TimeSpan _window;

    public MetricNode(string metric, IReadOnlyDictionary<string, string> labels, MetricWindow? function, TimeSpan window, string source)
        : base(Kind.Double, source)
    {
        (_metric, _labels, _function, _window) = (metric, labels, function, window);
        IsConstant = false;
    }

    public override Value Evaluate(ref Frame frame)
    {
        var metrics = frame.Metrics!;
        return (_function is { } function ? metrics.TryWindow(function, _metric, _labels, _window, out var value) : metrics.TryRead(_metric, _labels, out value))
            ? Value.Of(value)
            : Value.Missing(this);
    }
}
