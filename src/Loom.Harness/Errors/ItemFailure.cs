using System.Diagnostics;
using Loom.Components;

namespace Loom.Harness.Errors;

/// <summary>One item that could not be processed, as the runner of its component knows it.</summary>
/// <param name="Component">Whose input it was.</param>
/// <param name="Port">The input port.</param>
/// <param name="Id">The event.</param>
/// <param name="Key">Its key.</param>
/// <param name="Time">Its time.</param>
/// <param name="Mock">Whether a mock had a hand in it.</param>
/// <param name="Trace">The trace it is sampled into, or the default value.</param>
/// <param name="Error">What was thrown.</param>
internal sealed record ItemFailure(
    string Component, string Port, EventId Id, string? Key, DateTimeOffset Time, bool Mock, ActivityContext Trace, Exception Error)
{
    /// <summary>Attempts made, from 1.</summary>
    public int Attempt { get; init; } = 1;

    /// <summary>The link of the chain that objected; null = the component itself.</summary>
    public string? Capability { get; init; }

    /// <summary>Its place in its batch.</summary>
    public int? Index { get; init; }

    /// <summary>The failure of an event.</summary>
    public static ItemFailure Of<T>(string component, string port, in Event<T> e, Exception error) =>
        new(component, port, e.Id, e.Key, e.Time, e.Mock, e.Trace, error) { Attempt = e.Attempt };
}
