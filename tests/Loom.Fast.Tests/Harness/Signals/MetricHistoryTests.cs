using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Loom.Harness.Telemetry;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Signals;

public sealed class MetricHistoryTests
{
    private readonly ManualTimeProvider _time = new();
    private readonly Dictionary<string, double> _values = [];

    private static MetricExpression Of(string text) => MetricExpression.Compile(text);

    private MetricHistory History() => new(
        (name, _) => _values.Where(v => v.Key.Split('@')[0] == name).Select(v => new MetricPoint(v.Value, SystemMetrics.Label("component", v.Key.Split('@')[1]))), () => null!, _time);

    private void Pass(MetricHistory history, int seconds, Action<int>? change = null)
    {
        for (var i = 0; i < seconds; i++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            change?.Invoke(i);
            history.Sample();
        }
    }

    [Fact]
    public void Test_Rate_IncreaseOverTheWindowPerSecond()
    {
        var history = History();
        var fast = Of("rate(items_total, \"1m\") > 9.9 && rate(items_total, \"1m\") < 10.1");
        history.Watch(fast);
        _values["items_total@a"] = 0;
        history.Sample();
        fast.Test(history).ShouldBeNull("one sample is no rate");

        Pass(history, 30, _ => _values["items_total@a"] += 1000);
        Pass(history, 61, _ => _values["items_total@a"] += 10);

        fast.Test(history).ShouldBe(true, "what lies before the window no longer counts");
    }

    [Fact]
    public void Test_Labels_OnlyTheirSeries()
    {
        var history = History();
        (_values["items_total@a"], _values["items_total@b"]) = (5, 7);
        history.Sample();

        Of("items_total == 12").Test(history).ShouldBe(true);
        Of("value(items_total, {\"component\": \"b\"}) == 7").Test(history).ShouldBe(true);
        Of("value(items_total, {\"component\": \"c\"}) == 7").Test(history).ShouldBeNull();
    }

    [Fact]
    public void Test_AvgMinMax_OfTheWindow()
    {
        var history = History();
        var all = new[] { "avg(stream_depth, \"10s\") > 5.4 && avg(stream_depth, \"10s\") < 5.6", "min(stream_depth, \"10s\") == 1", "max(stream_depth, \"10s\") == 10" }.Select(Of).ToList();
        all.ForEach(history.Watch);
        _values["stream_depth@a"] = 500;
        Pass(history, 20);

        Pass(history, 10, i => _values["stream_depth@a"] = i + 1);
        // A sample of the window's age still belongs to it.
        Pass(history, 1, _ => _values["stream_depth@a"] = 5.5);

        all[0].Test(history).ShouldBe(true);
        all[1].Test(history).ShouldBe(true);
        all[2].Test(history).ShouldBe(true);
    }

    [Fact]
    public void Test_UnwatchedWindow_HasValuesFromThenOn()
    {
        var history = History();
        var rate = Of("rate(items_total, \"1m\") == 1");
        _values["items_total@a"] = 0;
        Pass(history, 5, _ => _values["items_total@a"]++);

        rate.Test(history).ShouldBeNull();
        Pass(history, 5, _ => _values["items_total@a"]++);

        rate.Test(history).ShouldBe(true);
    }

    [Fact]
    public void Sample_LongWindow_KeepsFewSamplesAndTheWholeSpan()
    {
        var history = History();
        var day = Of("rate(items_total, \"10h\") > 0.99 && rate(items_total, \"10h\") < 1.01");
        history.Watch(day);
        _values["items_total@a"] = 0;
        Pass(history, 40_000, _ => _values["items_total@a"]++);

        day.Test(history).ShouldBe(true);
    }

    [Fact]
    public async Task Names_OfARunningSystem_AllCanBeRead()
    {
        var builder = new HarnessBuilder("counted").Add("numbers", () => new Numbers(10)).Add("pass", () => new Apply((e, output, ct) => output.SendAsync(e.Derive(e.Data), ct)))
            .Add("keep", () => new Keep([])).Bind("numbers.out", "pass.in").Bind("pass.out", "keep.in");
        using var assembly = new RunKit().Assemble(builder);
        (await assembly.Run.RunAsync(new RunTokens(default, default))).ExitCode.ShouldBe(0);

        assembly.Metrics.Sample();
        foreach (var metric in SystemMetrics.All)
        {
            Should.NotThrow(() => metric.Read(new MetricView(assembly)).ToList(), metric.Name);
        }

        Of("value(items_total, {\"component\": \"pass\", \"outcome\": \"done\"}) == 10").Test(assembly.Metrics).ShouldBe(true);
        Of("value(stream_events_total) == 20").Test(assembly.Metrics).ShouldBe(true);
        Of("value(component_state, {\"state\": \"stopped\"}) == 3").Test(assembly.Metrics).ShouldBe(true);
    }
}
