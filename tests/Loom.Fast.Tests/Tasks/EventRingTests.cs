using System.Text;
using FsCheck;
using FsCheck.Fluent;
using Loom.Control.Tasks;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Tasks;

public sealed class EventRingTests
{
    [Fact]
    public void Append_Events_AreNumberedFromOneInTheWireForm()
    {
        var ring = new EventRing();
        ring.Append(TaskEventKind.Started, "{}"u8);
        ring.Append(TaskEventKind.Token, "{\"t\":\"a\",\"i\":0}"u8);

        Text(ring).ShouldBe("id: 1\nevent: started\ndata: {}\n\nid: 2\nevent: token\ndata: {\"t\":\"a\",\"i\":0}\n\n");
    }

    [Fact]
    public void Append_AfterTheTerminalEvent_ChangesNothing()
    {
        var ring = new EventRing();
        ring.Append(TaskEventKind.End, "{}"u8).ShouldBeTrue();

        ring.Append(TaskEventKind.Token, "{}"u8).ShouldBeFalse();
        ring.Append(TaskEventKind.Error, "{}"u8).ShouldBeFalse();

        ring.Last.ShouldBe(1);
        var after = 1L;
        ring.Take(ref after, verbose: true, []).ShouldBe(RingAnswer.Over);
    }

    [Fact]
    public void Take_NotVerbose_LeavesQueuedOutAndMovesOn()
    {
        var ring = new EventRing();
        ring.Append(TaskEventKind.Queued, "{}"u8);
        ring.Append(TaskEventKind.Started, "{}"u8);
        var events = new List<TaskEvent>();
        var after = 0L;

        ring.Take(ref after, verbose: false, events).ShouldBe(RingAnswer.Some);

        events.Select(e => e.Id).ShouldBe([2]);
        after.ShouldBe(2);
    }

    [Fact]
    public void Take_SlowReader_MissesMetricsButNeverAToken()
    {
        var ring = new EventRing();
        for (var i = 0; i < 50; i++)
        {
            ring.Append(TaskEventKind.Token, "{}"u8);
            ring.Append(TaskEventKind.Metrics, "{}"u8);
        }

        var seen = new List<TaskEvent>();
        var events = new List<TaskEvent>();
        var after = 0L;
        while (ring.Take(ref after, verbose: false, events) == RingAnswer.Some)
        {
            events.Count.ShouldBeLessThanOrEqualTo(EventRing.ReaderRoom);
            seen.AddRange(events);
        }

        seen.Count(e => e.Kind == TaskEventKind.Token).ShouldBe(50);
        seen.Count(e => e.Kind == TaskEventKind.Metrics).ShouldBe(EventRing.ReaderRoom / 2);
        seen.Select(e => e.Id).ShouldBeInOrder();
    }

    [Fact]
    public void Append_BeyondTheRoom_DropsTheOldestAndTellsTheReaderThatNeedsThem()
    {
        var ring = new EventRing();
        var large = new byte[EventRing.Room / 4];
        Array.Fill(large, (byte)'x');
        for (var i = 0; i < 6; i++)
        {
            ring.Append(TaskEventKind.Token, large);
        }

        var after = 0L;
        ring.Take(ref after, verbose: false, []).ShouldBe(RingAnswer.Lost);
        after = 3;
        ring.Take(ref after, verbose: false, []).ShouldBe(RingAnswer.Some);
        ring.Bytes.ShouldBeLessThanOrEqualTo(EventRing.Room);
    }

    [Fact]
    public void Append_TerminalEventWithALargeResult_PushesNothingOut()
    {
        var ring = new EventRing();
        ring.Append(TaskEventKind.Started, "{}"u8);
        ring.Append(TaskEventKind.End, new byte[2 * EventRing.Room]);
        var events = new List<TaskEvent>();
        var after = 0L;

        ring.Take(ref after, verbose: false, events).ShouldBe(RingAnswer.Some);

        events.Select(e => e.Kind).ShouldBe([TaskEventKind.Started, TaskEventKind.End]);
    }

    [Fact]
    public async Task Changed_NextEvent_WakesTheReader()
    {
        var ring = new EventRing();
        var waiting = ring.ChangedAsync(0);
        waiting.IsCompleted.ShouldBeFalse();

        ring.Append(TaskEventKind.Token, "{}"u8);

        await waiting;
        ring.ChangedAsync(0).IsCompleted.ShouldBeTrue();
        ring.ChangedAsync(1).IsCompleted.ShouldBeFalse();
    }

    [Fact]
    public void Take_AnyPace_SeesEveryTokenOnceInOrder() => Prop.ForAll(
        ArbMap.Default.GeneratorFor<bool>().ListOf().ToArbitrary(),
        steps =>
        {
            var ring = new EventRing();
            var seen = new List<long>();
            var tokens = new List<long>();
            var after = 0L;
            foreach (var write in steps.Append(false))
            {
                if (write)
                {
                    ring.Append(TaskEventKind.Token, "{}"u8);
                    tokens.Add(ring.Last);
                    ring.Append(TaskEventKind.Metrics, "{}"u8);
                    continue;
                }

                var events = new List<TaskEvent>();
                while (ring.Take(ref after, verbose: false, events) == RingAnswer.Some)
                {
                    seen.AddRange(events.Where(e => e.Kind == TaskEventKind.Token).Select(e => e.Id));
                }
            }

            return seen.SequenceEqual(tokens);
        }).QuickCheckThrowOnFailure();

    private static string Text(EventRing ring)
    {
        var events = new List<TaskEvent>();
        var after = 0L;
        ring.Take(ref after, verbose: true, events);
        return string.Concat(events.Select(e => Encoding.UTF8.GetString(e.Wire)));
    }
}
