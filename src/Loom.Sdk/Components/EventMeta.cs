using System.Diagnostics;

namespace Loom.Components;

/// <summary>What few events carry: headers, a trace, an attempt. Immutable and shared by all that is derived from an event.</summary>
internal sealed record EventMeta(string? Key, IReadOnlyDictionary<string, string>? Headers, ActivityContext Trace, int Attempt)
{
    public static EventMeta None { get; } = new(null, null, default, 1);
}
