using FsCheck;
using FsCheck.Fluent;
using Loom.Core.Queues;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Queues;

public sealed class TwoClassQueueTests
{
    [Fact]
    public void TryTake_TwoClasses_InteractiveFirstThenFifo()
    {
        var queue = new TwoClassQueue<string>(10, OverflowPolicy.RejectNew, 0);
        Add(queue, "b1", QueueClass.Batch);
        Add(queue, "i1");
        Add(queue, "i2");

        Drain(queue).ShouldBe(["i1", "i2", "b1"]);
    }

    [Fact]
    public void TryTake_AgedBatch_CompetesByArrival()
    {
        var queue = new TwoClassQueue<string>(10, OverflowPolicy.RejectNew, batchPatience: 100);
        Add(queue, "b1", QueueClass.Batch, now: 0);
        Add(queue, "i1", now: 10);
        Add(queue, "b2", QueueClass.Batch, now: 50);

        Drain(queue, now: 99).ShouldBe(["i1", "b1", "b2"]);
        Add(queue, "b1", QueueClass.Batch, now: 0);
        Add(queue, "i1", now: 10);
        Add(queue, "b2", QueueClass.Batch, now: 50);
        Drain(queue, now: 100).ShouldBe(["b1", "i1", "b2"]);
    }

    [Fact]
    public void TryTake_HeadNotEligible_DoesNotBlockTheNext()
    {
        var queue = new TwoClassQueue<string>(10, OverflowPolicy.RejectNew, 0);
        Add(queue, "x1");
        Add(queue, "y1");

        queue.TryTake(0, 'y', static (value, start) => value[0] == start)!.Value.ShouldBe("y1");
        Drain(queue).ShouldBe(["x1"]);
    }

    [Theory]
    [InlineData(QueueClass.Interactive, new[] { "b1", "b2" }, "b1")]
    [InlineData(QueueClass.Interactive, new[] { "i1", "b1" }, "b1")]
    [InlineData(QueueClass.Interactive, new[] { "i1", "i2" }, "i1")]
    [InlineData(QueueClass.Batch, new[] { "i1", "b1" }, "b1")]
    [InlineData(QueueClass.Batch, new[] { "i1", "i2" }, null)]
    public void Enqueue_FullDropLru_EvictsByTheRule(QueueClass arriving, string[] waiting, string? victim)
    {
        var queue = new TwoClassQueue<string>(2, OverflowPolicy.DropLru, 0);
        foreach (var name in waiting)
        {
            Add(queue, name, name[0] == 'b' ? QueueClass.Batch : QueueClass.Interactive);
        }

        var outcome = queue.Enqueue("new", arriving, queue.TakeRank(), 0, out _, out var evicted);

        evicted?.Value.ShouldBe(victim);
        outcome.ShouldBe(victim is null ? EnqueueOutcome.Refused : EnqueueOutcome.WaitingAfterEviction);
        queue.Count.ShouldBe(2);
    }

    [Fact]
    public void Enqueue_FullRejectNew_Refuses()
    {
        var queue = new TwoClassQueue<string>(1, OverflowPolicy.RejectNew, 0);
        Add(queue, "b1", QueueClass.Batch);

        queue.Enqueue("new", QueueClass.Interactive, queue.TakeRank(), 0, out var entry, out var evicted).ShouldBe(EnqueueOutcome.Refused);

        entry.ShouldBeNull();
        evicted.ShouldBeNull();
    }

    [Fact]
    public void Restore_TakenEntry_GetsItsOldPlaceBack()
    {
        var queue = new TwoClassQueue<string>(2, OverflowPolicy.RejectNew, 0);
        Add(queue, "i1");
        var second = Add(queue, "i2");
        var taken = queue.TryTake(0, 0, static (_, _) => true)!;
        var third = Add(queue, "i3");

        var back = queue.Restore(taken.Value, taken.Class, taken.Rank, taken.Arrived);

        queue.Count.ShouldBe(3, "work that was let in once is never turned away");
        new[] { back, second, third }.Select(queue.PositionOf).ShouldBe([0, 1, 2]);
        Drain(queue).ShouldBe(["i1", "i2", "i3"]);
    }

    // A model so plain that it is evidently right: two lists.
    [Fact]
    public void Queue_AnyOperations_AgreesWithTheModel()
    {
        var step = Gen.Choose(0, 5).SelectMany(_ => Gen.Choose(0, 1000), (kind, number) => (Kind: kind, Number: number));
        var runs = Gen.Choose(1, 12).SelectMany(_ => Gen.Choose(0, 1), (capacity, policy) => (capacity, policy)).SelectMany(_ => step.ListOf(300), (head, steps) => (head, steps));
        Prop.ForAll(runs.ToArbitrary(), run => Play(run.head.capacity, (OverflowPolicy)run.head.policy, [.. run.steps])).QuickCheckThrowOnFailure();
    }

    [Fact]
    public void Position_ThousandsOfEntriesLeavingFromAnywhere_StaysExact()
    {
        var queue = new TwoClassQueue<int>(10_000, OverflowPolicy.RejectNew, 0);
        var entries = new List<QueueEntry<int>>();
        var random = new Random(7);
        for (var i = 0; i < 20_000; i++)
        {
            queue.Enqueue(i, QueueClass.Interactive, queue.TakeRank(), 0, out var entry, out _);
            if (entry is not null)
            {
                entries.Add(entry);
            }

            if (entries.Count > 500 && random.Next(3) > 0)
            {
                var at = random.Next(entries.Count);
                queue.Remove(entries[at]).ShouldBeTrue();
                entries.RemoveAt(at);
            }
        }

        for (var i = 0; i < entries.Count; i++)
        {
            queue.PositionOf(entries[i]).ShouldBe(i);
        }
    }

    private static bool Play(int capacity, OverflowPolicy policy, (int Kind, int Number)[] steps)
    {
        var queue = new TwoClassQueue<int>(capacity, policy, 0);
        List<QueueEntry<int>>[] model = [[], []];
        var ended = new Dictionary<int, int>();
        var returned = 0;
        for (var i = 0; i < steps.Length; i++)
        {
            var (kind, number) = steps[i];
            var all = model[0].Concat(model[1]).ToList();
            if (kind <= 2)
            {
                var lane = number % 2;
                var full = all.Count >= capacity;
                var expected = !full || policy == OverflowPolicy.RejectNew ? null : model[1].FirstOrDefault() ?? (lane == 0 ? model[0].FirstOrDefault() : null);
                var outcome = queue.Enqueue(i, (QueueClass)lane, queue.TakeRank(), 0, out var entry, out var evicted);
                evicted.ShouldBeSameAs(expected);
                (outcome == EnqueueOutcome.Refused).ShouldBe(full && expected is null);
                if (expected is not null)
                {
                    model[(int)expected.Class].Remove(expected);
                    Count(ended, expected.Value);
                }

                if (entry is null)
                {
                    Count(ended, i);
                }
                else
                {
                    model[lane].Add(entry);
                }
            }
            else if (kind == 3)
            {
                var taken = queue.TryTake(0, 0, static (_, _) => true);
                taken.ShouldBeSameAs(all.FirstOrDefault());
                if (taken is not null && number % 4 == 0)
                {
                    returned++;
                    var back = queue.Restore(taken.Value, taken.Class, taken.Rank, taken.Arrived);
                    model[(int)taken.Class][0] = back;
                }
                else if (taken is not null)
                {
                    model[(int)taken.Class].RemoveAt(0);
                    Count(ended, taken.Value);
                }
            }
            else if (all.Count > 0)
            {
                var gone = all[number % all.Count];
                queue.Remove(gone).ShouldBeTrue();
                queue.Remove(gone).ShouldBeFalse();
                model[(int)gone.Class].Remove(gone);
                Count(ended, gone.Value);
            }

            queue.Count.ShouldBeLessThanOrEqualTo(capacity + returned);
            queue.Count.ShouldBe(model[0].Count + model[1].Count);
            foreach (var lane in model)
            {
                for (var at = 0; at < lane.Count; at++)
                {
                    queue.PositionOf(lane[at]).ShouldBe(at);
                }
            }
        }

        ended.Values.ShouldAllBe(times => times == 1, "every entry leaves exactly once");
        return true;
    }

    private static void Count(Dictionary<int, int> ended, int value) => ended[value] = ended.GetValueOrDefault(value) + 1;

    private static QueueEntry<string> Add(TwoClassQueue<string> queue, string value, QueueClass queueClass = QueueClass.Interactive, long now = 0)
    {
        queue.Enqueue(value, queueClass, queue.TakeRank(), now, out var entry, out _);
        return entry!;
    }

    private static List<string> Drain(TwoClassQueue<string> queue, long now = 0)
    {
        var order = new List<string>();
        while (queue.TryTake(now, 0, static (_, _) => true) is { } entry)
        {
            order.Add(entry.Value);
        }

        return order;
    }
}
