namespace Loom.Harness.Expressions;

/// <summary>
/// A condition over metrics, for alerts and <c>rules</c>: the same language with metric names as variables (<c>dead_letters_total &gt; 100</c>)
/// and functions over windows of time: <c>rate(items_total, "1m")</c>, <c>avg(stream_depth, "5m")</c>, <c>min</c>, <c>max</c>. A metric stands for
/// the sum of its series; labels pick some: <c>value(items_total, {"component": "clean"})</c>, <c>rate(items_total, "1m", {"component": "clean"})</c>.
/// </summary>
internal sealed class MetricExpression
{
    private readonly Node _root;

    private MetricExpression(string text, Node root, IReadOnlyList<MetricQuery> windows)
    {
        Text = text;
        _root = root;
        Windows = windows;
    }

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>The windows of time it looks at: what must be kept for it.</summary>
    public IReadOnlyList<MetricQuery> Windows { get; }

    /// <summary>Compiles and checks.</summary>
    /// <param name="text">The condition.</param>
    /// <param name="metrics">Names of all metrics there are, without <c>loom_harness_</c>; null takes any name.</param>
    /// <exception cref="ExpressionException">What is wrong and at which column.</exception>
    public static MetricExpression Compile(string text, IReadOnlyCollection<string>? metrics = null)
    {
        var scope = new MetricScope(metrics);
        var root = Parser.ParseAll(text, scope);
        return root.Kind is Kind.Bool or Kind.Any
            ? new MetricExpression(text, root, scope.Windows)
            : throw new ExpressionException($"a condition must give a bool, not {root.Kind.Name()}; compare it, as in {text} > 100", 1);
    }

    /// <summary>Whether the condition holds; null while a metric it asks for has no value, or when it cannot be worked out.</summary>
    public bool? Test(IMetricValues metrics)
    {
        var frame = new Frame(metrics);
        var value = _root.Evaluate(ref frame);
        return value.Kind == Kind.Bool ? value.IsTrue : null;
    }

    /// <inheritdoc />
    public override string ToString() => Text;
}
