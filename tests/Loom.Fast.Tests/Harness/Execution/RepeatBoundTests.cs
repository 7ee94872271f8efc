using Loom.Harness.Execution;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

public sealed class RepeatBoundTests
{
    [Fact]
    public void Count_HalfOfTheItems_AsksForACheckpointOnce()
    {
        var bound = new RepeatBound(10);
        Enumerable.Range(0, 9).Select(_ => bound.Count()).ShouldBe([false, false, false, false, true, false, false, false, false]);
        bound.MustHold.ShouldBeFalse();
        bound.Count();
        bound.MustHold.ShouldBeTrue();
    }

    [Fact]
    public void Settled_AfterEventsBehindTheBarrier_CountsThoseOnly()
    {
        var bound = new RepeatBound(10);
        Send(bound, 5);
        bound.Began();
        Send(bound, 5);
        bound.MustHold.ShouldBeTrue();
        bound.Settled();
        bound.MustHold.ShouldBeFalse();
        Send(bound, 4);
        bound.MustHold.ShouldBeFalse();
        Send(bound, 1);
        bound.MustHold.ShouldBeTrue();
    }

    [Fact]
    public void MustHold_WithoutABound_Never()
    {
        var bound = new RepeatBound(null);
        Send(bound, 1000);
        bound.MustHold.ShouldBeFalse();
    }

    private static void Send(RepeatBound bound, int events)
    {
        for (var i = 0; i < events; i++)
        {
            bound.Count();
        }
    }
}
