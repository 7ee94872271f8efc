using Loom.Control.Gateway;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class CallWatchTests
{
    [Fact]
    public void ExpectNothing_TheLimitOfThePhaseBefore_IsOver_TheDeadlineIsNot()
    {
        var time = new ManualTimeProvider();
        using var watch = new CallWatch(time);
        watch.Begin();
        watch.Expect(EndCause.SlowBody, TimeSpan.FromSeconds(30));
        watch.LimitTo(TimeSpan.FromSeconds(60));

        watch.ExpectNothing();

        time.Advance(TimeSpan.FromSeconds(59));
        watch.Cause.ShouldBe(EndCause.None);
        time.Advance(TimeSpan.FromSeconds(2));
        watch.Cause.ShouldBe(EndCause.Deadline);
    }

    [Fact]
    public void LimitTo_NothingLeft_EndsAtOnce()
    {
        var time = new ManualTimeProvider();
        time.Advance(TimeSpan.FromSeconds(100));
        using var watch = new CallWatch(time);
        watch.Begin();

        watch.LimitTo(TimeSpan.FromSeconds(-2));

        time.Advance(TimeSpan.FromMilliseconds(1));
        watch.Cause.ShouldBe(EndCause.Deadline);
    }

    [Fact]
    public void Begin_AfterAnEndedCall_HasASourceOfItsOwn()
    {
        using var watch = new CallWatch(new ManualTimeProvider());
        watch.Begin();
        var first = watch.Token;
        watch.End(EndCause.Deadline).ShouldBeTrue();
        watch.Finish();

        watch.Begin();

        first.IsCancellationRequested.ShouldBeTrue();
        watch.Token.ShouldNotBe(first);
        watch.Token.IsCancellationRequested.ShouldBeFalse();
    }

    [Fact]
    public void ClientGone_BeforeTheCallBegins_EndsItWithoutATimer()
    {
        var time = new ManualTimeProvider();
        using var watch = new CallWatch(time);
        watch.ClientGone();

        watch.Begin();
        watch.Expect(EndCause.SlowBody, TimeSpan.FromSeconds(1));
        time.Advance(TimeSpan.FromSeconds(2));

        watch.Cause.ShouldBe(EndCause.ClientGone);
        watch.Token.IsCancellationRequested.ShouldBeTrue();
    }
}
