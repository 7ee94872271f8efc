using System.Collections.Concurrent;
using System.Diagnostics;
using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Execution;
using Loom.Harness.Telemetry;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Signals;

public sealed class TracingTests
{
    private static HarnessBuilder Line(string name, List<Event<long>> kept, Func<Event<long>, Emitter<long>, CancellationToken, ValueTask>? handle = null) => new HarnessBuilder(name)
        .Add(name + "_in", () => new Numbers(10))
        .Add(name + "_pass", () => new Apply(handle ?? ((e, output, ct) => output.SendAsync(e.Derive(e.Data), ct))))
        .Add(name + "_keep", () => new Keep(kept))
        .Bind(name + "_in.out", name + "_pass.in").Bind(name + "_pass.out", name + "_keep.in");

    private static ActivityListener Listen(string name, ConcurrentQueue<Activity> spans)
    {
        var listener = new ActivityListener
        {
            ShouldListenTo = s => s.Name == Tracing.SourceName,
            Sample = static (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            // Other tests of the process may run systems meanwhile.
            ActivityStopped = a =>
            {
                if (a.GetTagItem("loom.component") is string component && component.StartsWith(name, StringComparison.Ordinal))
                {
                    spans.Enqueue(a);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        return listener;
    }

    [Fact]
    public async Task Run_OneInFour_OneTraceEachThroughEveryHop()
    {
        var (spans, kept) = (new ConcurrentQueue<Activity>(), new List<Event<long>>());
        using var listener = Listen("traced", spans);

        await new RunKit { Policy = p => p with { TraceSample = 4 } }.RunAsync(Line("traced", kept));

        spans.Select(s => s.TraceId).Distinct().Count().ShouldBe(3, "events 0, 4 and 8");
        foreach (var trace in spans.GroupBy(s => s.TraceId))
        {
            trace.Select(s => s.OperationName).Order().ShouldBe(["event traced_in", "traced_keep", "traced_pass"]);
        }

        kept.Count(e => e.IsTraced).ShouldBe(3);
        kept.Where(e => e.IsTraced).Select(e => e.Data).ShouldBe([0, 4, 8]);
    }

    [Fact]
    public async Task Run_FailureOfAnEventThatIsNotSampled_HasATraceOfItsOwn()
    {
        var (spans, kept, kit) = (new ConcurrentQueue<Activity>(), new List<Event<long>>(), new RunKit());
        using var listener = Listen("failing", spans);
        await kit.RunAsync(Line("failing", kept, (e, output, ct) => e.Data == 3 ? throw new ItemException("odd", "three") : output.SendAsync(e.Derive(e.Data), ct)));

        var failure = kit.Failures.ShouldHaveSingleItem();
        failure.TraceId.ShouldBeNull();
        Tracing.Failure(failure, "odd").ShouldNotBeNull();

        var span = spans.Single(s => s.OperationName == "error failing_pass");
        span.Status.ShouldBe(ActivityStatusCode.Error);
        span.GetTagItem("loom.error_code").ShouldBe("odd");
    }

    [Fact]
    public async Task Run_FailureOfASampledEvent_StaysInItsTrace()
    {
        var (spans, kept, kit) = (new ConcurrentQueue<Activity>(), new List<Event<long>>(), new RunKit { Policy = p => p with { TraceSample = 4 } });
        using var listener = Listen("sampled", spans);
        await kit.RunAsync(Line("sampled", kept, (e, output, ct) => e.Data == 4 ? throw new ItemException("odd", "four") : output.SendAsync(e.Derive(e.Data), ct)));

        var failure = kit.Failures.ShouldHaveSingleItem();
        Tracing.Failure(failure, "odd").ShouldBe(failure.TraceId);
        var spansOfIt = spans.Where(s => s.TraceId.ToHexString() == failure.TraceId).ToList();
        spansOfIt.Select(s => s.OperationName).ShouldBe(["event sampled_in", "sampled_pass", "error sampled_pass"]);
        spansOfIt[1].Status.ShouldBe(ActivityStatusCode.Error);
    }
}
