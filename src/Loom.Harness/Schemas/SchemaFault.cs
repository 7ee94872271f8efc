namespace Loom.Harness.Schemas;

/// <summary>Where a payload breaks its schema, and how.</summary>
/// <param name="Pointer">JSON pointer into the payload (RFC 6901); empty for the payload itself.</param>
/// <param name="Message">What is asked and what was found; never the value itself.</param>
internal sealed record SchemaFault(string Pointer, string Message)
{
    public override string ToString() => $"{(Pointer.Length == 0 ? "the payload" : Pointer)} {Message}";

    /// <summary>The same fault seen from one level further out.</summary>
    public SchemaFault Below(string name) =>
        this with { Pointer = $"/{name.Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)}{Pointer}" };
}

/// <summary>A schema that cannot be used: a keyword nobody checks, a value of the wrong kind, a reference to nothing.</summary>
internal sealed class SchemaException : Exception
{
    /// <param name="pointer">JSON pointer into the schema.</param>
    /// <param name="message">What is wrong; what to do.</param>
    public SchemaException(string pointer, string message)
        : base(message) => Pointer = pointer;

    /// <summary>JSON pointer into the schema; empty for the schema itself.</summary>
    public string Pointer { get; }
}
