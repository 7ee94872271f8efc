namespace Loom.Components;

/// <summary>What an item's failure means for the next attempt.</summary>
public enum ErrorClass
{
    /// <summary>May pass: it is retried where the component has Retry.</summary>
    Transient,

    /// <summary>Will fail again: it goes straight to the error destination.</summary>
    Permanent,

    /// <summary>Nothing will pass until a person mends a setting (401, 403, 404, no such table): the component pauses and keeps the item.</summary>
    Configuration,
}

/// <summary>
/// An item that could not be processed, with a code and a class. A handler throws it for one item; it never stops the component. Other
/// exceptions count as permanent, except time-outs, I/O and HTTP failures, which are transient.
/// </summary>
public sealed class ItemException : Exception
{
    /// <param name="code">What failed, in the field's terms and snake case: <c>schema_invalid</c>, <c>unrouted</c>, <c>timeout</c>.</param>
    /// <param name="message">What was asked, what was found, what to do.</param>
    /// <param name="errorClass">What it means for the next attempt; permanent by default.</param>
    /// <param name="inner">What caused it.</param>
    public ItemException(string code, string message, ErrorClass errorClass = ErrorClass.Permanent, Exception? inner = null)
        : base(message, inner)
    {
        Code = code;
        Class = errorClass;
    }

    /// <summary>What failed.</summary>
    public string Code { get; }

    /// <summary>What it means for the next attempt.</summary>
    public ErrorClass Class { get; }

    /// <summary>How long the other side asked to be left alone before the next attempt; null when it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
