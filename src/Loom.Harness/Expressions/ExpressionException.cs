namespace Loom.Harness.Expressions;

/// <summary>An expression or template that cannot be compiled, and where.</summary>
/// <param name="message">What is wrong; what to do.</param>
/// <param name="column">From 1, in the whole text.</param>
internal sealed class ExpressionException(string message, int column) : Exception(message)
{
    /// <summary>The character the fault begins at, from 1, counted from the start of the whole text, line ends included.</summary>
    public int Column { get; } = column;

    /// <summary>An error at a place of a text.</summary>
    /// <param name="text">The whole text.</param>
    /// <param name="position">From 0.</param>
    /// <param name="message">What is wrong; what to do.</param>
    public static ExpressionException At(string text, int position, string message) => new(message, Math.Min(position, text.Length) + 1);
}
