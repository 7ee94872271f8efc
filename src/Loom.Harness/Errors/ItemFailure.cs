using System.Diagnostics;
using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Errors;

/// <summary>An event that could not be processed, with everything that is known of it.</summary>
/// <param name="Component">The component that failed on it.</param>
/// <param name="Port">The input port it came by; a retry sends it there again.</param>
/// <param name="Id">The event.</param>
/// <param name="Key">Its key.</param>
/// <param name="Time">When it happened.</param>
/// <param name="Payload">Its payload as JSON.</param>
/// <param name="Error">What went wrong.</param>
/// <param name="Attempt">Attempts that were made.</param>
/// <param name="Mock">Whether a mock had a hand in it.</param>
internal sealed record ItemFailure(
    string Component,
    string Port,
    EventId Id,
    string? Key,
    DateTimeOffset Time,
    JsonElement Payload,
    Exception Error,
    int Attempt,
    bool Mock)
{
    /// <summary>The capability that refused it, or null for the component itself.</summary>
    public string? Capability { get; init; }

    /// <summary>Headers it carried.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    /// <summary>The trace it was sampled into; the default value when it was not.</summary>
    public ActivityContext Trace { get; init; }

    /// <summary>The same as 32 hex digits; null when it was not sampled.</summary>
    public string? TraceId => Trace.TraceId == default ? null : Trace.TraceId.ToHexString();

    /// <summary>Where it stood in its batch.</summary>
    public int? Index { get; init; }

    /// <summary>The failure of an event, with everything the event carries.</summary>
    public static ItemFailure Of<T>(string component, string port, in Event<T> e, Exception error, int attempt) =>
        new(component, port, e.Id, e.Key, e.Time, PayloadJson.Of(e.Data), error, attempt, e.Mock)
        {
            Headers = e.Headers,
            Trace = e.Trace,
        };
}

/// <summary>Takes events that could not be processed, for good.</summary>
internal interface IErrorDestination
{
    /// <summary>Keeps the failure; returns when it is as safe as the destination promises. Where it cannot be kept, it waits: the component reads nothing meanwhile.</summary>
    ValueTask TakeAsync(ItemFailure failure, CancellationToken ct);

    /// <summary>Makes what was taken survive a power cut too; called before a checkpoint that counts those events as done.</summary>
    /// <exception cref="IOException">That is not possible now; the checkpoint must wait.</exception>
    ValueTask FlushAsync(CancellationToken ct) => default;
}
