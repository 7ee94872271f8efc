using System.Text.Json;
using Loom.Components;
using Loom.Harness.Streams;

namespace Loom.Harness.Errors;

/// <summary>A component's own error port: what failed goes on as an event, with the record as its payload.</summary>
internal sealed class ErrorPortDestination(Func<ItemFailure, JsonElement> describe, OutputPort<JsonElement> port) : IErrorDestination
{
    public async ValueTask TakeAsync(ItemFailure failure, CancellationToken ct)
    {
        var e = new Event<JsonElement>(failure.Id, describe(failure), failure.Key, failure.Time, failure.Mock);
        // What travels with an event goes on with its error: an endpoint finds the request that waits for it.
        foreach (var (name, value) in failure.Headers)
        {
            e = e.WithHeader(name, value);
        }

        await port.SendSlowAsync(e, ct).ConfigureAwait(true);
        port.Flush();
    }
}
