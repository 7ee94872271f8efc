using System.Text.Json;
using Loom.Components;

namespace Loom.Harness.Tests.StandIns;

/// <summary>What a component made of one event: payloads by port, or a failure.</summary>
/// <param name="Sent">In the order they were sent.</param>
/// <param name="Error">Why there is nothing; null when it went well.</param>
internal sealed record Answer(IReadOnlyList<(string Port, JsonElement Data)> Sent, ItemException? Error = null)
{
    /// <summary>Sends it, or throws it.</summary>
    /// <param name="e">The event that is answered.</param>
    /// <param name="isReply">Whether somebody waits for the answer under the same id.</param>
    /// <param name="output">Where to.</param>
    /// <param name="ct">Give up.</param>
    public async ValueTask GiveAsync(Event<JsonElement> e, bool isReply, Emitter<JsonElement> output, CancellationToken ct)
    {
        if (Error is not null)
        {
            throw Error;
        }

        foreach (var (port, data) in Sent)
        {
            await output.SendAsync(port, (isReply ? e.With(data) : e.Derive(data)).AsMock(), ct).ConfigureAwait(true);
        }
    }
}

/// <summary>Answers in place of a component.</summary>
internal interface IAnswers
{
    /// <summary>The answer to this event; null: the component itself is asked.</summary>
    /// <exception cref="ItemException">The event fails.</exception>
    Answer? Of(Event<JsonElement> e);

    /// <summary>What the component itself answered, where it was asked.</summary>
    void Keep(Event<JsonElement> e, Answer answer);
}
