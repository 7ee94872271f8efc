using System.Text.Json;

namespace Loom.Components;

/// <summary>The asking end of a <c>request_response</c> binding. Any number of requests may be under way, at most the binding's <c>buffer</c>; further ones wait.</summary>
public interface IAsk
{
    /// <summary>Sends a request and waits for its answer.</summary>
    /// <param name="request">The request; it travels under an id of its own.</param>
    /// <param name="ct">Give up waiting.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="ItemException">No answer came within the binding's <c>timeout_ms</c> (<c>timeout</c>), or the answering component has ended (<c>unanswered</c>); both are transient.</exception>
    ValueTask<JsonElement> AskAsync(Event<JsonElement> request, CancellationToken ct);
}

/// <summary>Declares an output port that asks over a <c>request_response</c> binding, by <see cref="SetupContext.Ask"/>.</summary>
/// <param name="port">The port's name.</param>
[AttributeUsage(AttributeTargets.Class, AllowMultiple = true, Inherited = true)]
public sealed class AsksAttribute(string port) : Attribute
{
    /// <summary>The port's name.</summary>
    public string Port { get; } = port;
}

/// <summary>
/// Says that each event of the port <c>in</c> is a request, answered by the one event the component sends for it under the same id
/// (<see cref="Event{T}.With"/>). It ends when all who ask have ended.
/// </summary>
[AttributeUsage(AttributeTargets.Class, Inherited = true)]
public sealed class AnswersAttribute : Attribute;
