using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Streams;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Streams;

public sealed class GateTests
{
    [Fact]
    public void Look_OneStreamNeverHadABarrier_ThatOneIsPassedWithoutTakingPartAndTheNextIsWhole()
    {
        var gate = new Gate(new Signal());
        var (a, b) = (Stream(gate, "a"), Stream(gate, "b"));
        a.Mark(new CheckpointBarrier(3));
        Write(a, 1);
        a.Mark(new CheckpointBarrier(4));
        b.Mark(new CheckpointBarrier(4));

        gate.Look().ShouldBe(GateState.Barrier);
        (gate.Barrier!.Number, gate.IsPartial).ShouldBe((3, true));

        // The event between the two belongs to the next checkpoint: it must be handled before that.
        gate.Look().ShouldBe(GateState.Ready);
        a.TryRead(out var e).ShouldBeTrue();
        e.Data.ShouldBe(1);
        gate.Look().ShouldBe(GateState.Barrier);
        (gate.Barrier!.Number, gate.IsPartial).ShouldBe((4, false));
        gate.Look().ShouldBe(GateState.Empty);
    }

    [Fact]
    public void Look_Concatenated_LaterStreamsAreNotReadyAndHoldNoBarrierBack()
    {
        var gate = new Gate(new Signal());
        var port = new InputPort<int>(new PortPlan { Name = "in", Class = SemanticClass.DataIn, Data = typeof(int), FanIn = FanIn.Concatenate }, null);
        var (a, b) = (Stream(gate, "a", port), Stream(gate, "b", port));
        Write(b, 2);
        gate.Look().ShouldBe(GateState.Empty, "the first one comes first");
        a.Mark(new CheckpointBarrier(1));
        b.Mark(new CheckpointBarrier(1));
        gate.Look().ShouldBe(GateState.Barrier);
        gate.IsPartial.ShouldBeTrue("what waits in the second one belongs to the checkpoint and is in nobody's state");
        Write(a, 1);
        a.Complete();
        gate.Look().ShouldBe(GateState.Ready);
        port.TryRead(out var e).ShouldBeTrue();
        e.Data.ShouldBe(1);
        gate.Look().ShouldBe(GateState.Ready);
        port.TryRead(out e).ShouldBeTrue();
        e.Data.ShouldBe(2);
        b.Complete();
        gate.Look().ShouldBe(GateState.Ended, "a barrier that was passed is not passed again");
    }

    [Fact]
    public void Read_Priority_HighestFirstAndOneTurnInSixteenForTheOthers()
    {
        var gate = new Gate(new Signal());
        var port = new InputPort<int>(new PortPlan { Name = "in", Class = SemanticClass.DataIn, Data = typeof(int), FanIn = FanIn.Priority }, null);
        var (low, high) = (Stream(gate, "low", port), Stream(gate, "high", port, priority: 5));
        for (var i = 0; i < 100; i++)
        {
            Write(low, -1);
            Write(high, 1);
        }

        var order = Enumerable.Range(0, 96).Select(_ => port.TryRead(out var e) ? e.Data : 0).ToList();
        order.Count(d => d == -1).ShouldBe(6);
        order.Chunk(16).ShouldAllBe(turn => turn.Count(d => d == -1) == 1);
    }

    [Fact]
    public void Read_Merge_FairRoundOverTheStreamsThatHoldSomething()
    {
        var gate = new Gate(new Signal());
        var port = new InputPort<int>(new PortPlan { Name = "in", Class = SemanticClass.DataIn, Data = typeof(int) }, null);
        EventStream<int>[] streams = [Stream(gate, "a", port), Stream(gate, "b", port), Stream(gate, "c", port)];
        for (var i = 0; i < 10; i++)
        {
            Write(streams[0], 0);
            Write(streams[2], 2);
        }

        var order = Enumerable.Range(0, 20).Select(_ => port.TryRead(out var e) ? e.Data : -1).ToList();
        order.Chunk(2).ShouldAllBe(turn => turn.Sum() == 2);
        port.TryRead(out _).ShouldBeFalse();
    }

    private static EventStream<int> Stream(Gate gate, string from, InputPort<int>? port = null, int priority = 0)
    {
        var plan = new BindingPlan { Name = from, FromComponent = from, FromPort = "out", ToComponent = "c", ToPort = "in", Priority = priority };
        var stream = new EventStream<int>(plan, gate.Signal, new Signal(), TimeProvider.System);
        port?.Add(stream);
        gate.Add(stream, isHeldBack: port?.HoldsBack(stream));
        return stream;
    }

    private static void Write(EventStream<int> stream, int data)
    {
        stream.TryWrite(new Event<int>(EventId.Root("s:0", 0), data)).ShouldBeTrue();
        stream.Flush();
    }
}
