using Loom.Components;
using Loom.Harness.Errors;

namespace Loom.Harness.Streams;

/// <summary>A binding that closes a loop. Its writer never waits for it: what the loop cannot hold, because components within multiply events, or what comes when it is over, goes to the dead letter.</summary>
internal sealed class FeedbackTarget<T, TStream>(RuledStream<TStream> stream, FeedbackLoop loop, Func<Event<T>, Event<TStream>> convert, Func<IErrorDestination> errors) : Target<T, TStream>(stream, convert)
{
    public override async ValueTask WaitForRoomAsync(CancellationToken ct)
    {
        var e = Oldest;
        var error = loop.IsOver
            ? new ItemException("loop_ended", $"the loop that \"{Plan.Name}\" closes has ended: nothing came from outside any more and nothing was under way")
            : new ItemException("loop_full", $"the loop that \"{Plan.Name}\" closes holds {loop.MaxInFlight} events (max_in_flight) already; components within it make several events of one");
        await errors().TakeAsync(ItemFailure.Of(Plan.ToComponent, Plan.ToPort, e, error, e.Attempt), ct).ConfigureAwait(true);
        Drop();
    }
}
