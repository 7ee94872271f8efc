using Loom.Harness.Expressions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Expressions;

public sealed class MetricExpressionTests
{
    private static readonly string[] s_known = ["items_total", "stream_depth", "dead_letters_total"];

    [Theory]
    [InlineData("stream_depth > 5", true)]
    [InlineData("stream_depth > 5 && rate(items_total, \"1m\") < 2.5", true)]
    [InlineData("avg(stream_depth, \"5m\") == 300", true)]
    [InlineData("max(stream_depth, duration(\"10s\")) - min(stream_depth, \"10s\") > 0", false)]
    [InlineData("value(items_total, {\"component\": \"clean\"}) == 7", true)]
    [InlineData("rate(items_total, \"1m\", {\"component\": \"clean\"}) > 0", true)]
    [InlineData("dead_letters_total > 100", null)]
    [InlineData("dead_letters_total > 100 || stream_depth > 5", true)]
    public void Test_Condition_OverMetrics(string text, bool? expected) => MetricExpression.Compile(text, s_known).Test(new Metrics()).ShouldBe(expected);

    [Theory]
    [InlineData("stream_dept > 5", 1, "did you mean \"stream_depth\"?")]
    [InlineData("rate(item_total, \"1m\") > 1", 6, "did you mean \"items_total\"?")]
    [InlineData("rate(items_total) > 1", 17, "a time")]
    [InlineData("rate(items_total, \"soon\") > 1", 19, "\"30s\"")]
    [InlineData("rate(1, \"1m\") > 1", 6, "the name of a metric")]
    [InlineData("value(items_total, {\"a\": 1}) > 1", 20, "must be a string")]
    [InlineData("stream_depth", 1, "must give a bool")]
    [InlineData("data.x > 1", 1, "no variable \"data\"")]
    [InlineData("has(data.x)", 1, "no function \"has\"")]
    public void Compile_Wrong_ColumnAndAdvice(string text, int column, string advice)
    {
        var error = Should.Throw<ExpressionException>(() => MetricExpression.Compile(text, s_known));
        error.Message.ShouldContain(advice);
        error.Column.ShouldBe(column);
    }

    [Fact]
    public void Compile_NoList_TakesAnyName() => MetricExpression.Compile("whatever > 1").Test(new Metrics()).ShouldBeNull();

    private sealed class Metrics : IMetricValues
    {
        public bool TryRead(string metric, IReadOnlyDictionary<string, string> labels, out double value)
        {
            value = labels.Count > 0 ? 7 : 10;
            return metric is "items_total" or "stream_depth";
        }

        public bool TryWindow(MetricWindow function, string metric, IReadOnlyDictionary<string, string> labels, TimeSpan window, out double value)
        {
            value = function == MetricWindow.Rate ? 2 : window.TotalSeconds;
            return true;
        }
    }
}
