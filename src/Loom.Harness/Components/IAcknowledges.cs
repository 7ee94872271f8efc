namespace Loom.Harness.Components;

/// <summary>Options by which a source acknowledges or does not: <c>reply</c> of <c>http_in</c>.</summary>
internal interface IAcknowledges
{
    /// <summary>Whether whoever sends is told only when all that came of it is confirmed, and so can send again what is not.</summary>
    bool Acknowledges { get; }
}
