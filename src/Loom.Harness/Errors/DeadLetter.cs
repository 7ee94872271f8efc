using System.Text.Json;
using Loom.Harness.Secrets;

namespace Loom.Harness.Errors;

/// <summary>An event that could not be processed, kept whole: the record of its error and what is needed to send it again.</summary>
/// <param name="Record">What went wrong.</param>
/// <param name="Headers">The event's headers.</param>
/// <param name="Payload">The event's payload as JSON.</param>
internal sealed record DeadLetter(ErrorRecord Record, IReadOnlyDictionary<string, string> Headers, JsonElement Payload)
{
    /// <summary>JSON Pointers of what in the payload is shown to nobody; it is kept, since it is needed to send the event again.</summary>
    public IReadOnlyList<string> Secrets { get; init; } = [];

    /// <summary>The event's key as it was, to send it again with; the record has it as it may be shown.</summary>
    public string? Key { get; init; } = Record.Event.Key;

    /// <summary>Names of the headers whose values are shown to nobody; they too are kept.</summary>
    public IReadOnlyList<string> SecretHeaders { get; init; } = [];

    /// <summary>The headers as they may be shown.</summary>
    public IEnumerable<KeyValuePair<string, string>> ShownHeaders()
    {
        // Letters of before say nothing of their headers; what the payload holds is known of them too.
        var texts = SecretText.None.And([.. SecretFields.TextsAt(Payload, Secrets)]);
        return Headers.Select(h => SecretHeaders.Contains(h.Key) || texts.IsIn(h.Value) ? KeyValuePair.Create(h.Key, SecretFields.Mask) : h);
    }
}

/// <summary>A line that is no whole dead letter.</summary>
/// <param name="File">Name of the file.</param>
/// <param name="Line">From 1.</param>
/// <param name="Reason">What is wrong with it.</param>
internal sealed record DamagedLine(string File, long Line, string Reason);
