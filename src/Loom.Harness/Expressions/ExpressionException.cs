namespace Loom.Harness.Expressions;

/// <summary>An expression or template that cannot be compiled, and where.</summary>
internal sealed class ExpressionException : Exception
{
    /// <param name="message">What is wrong; what to do.</param>
    /// <param name="column">From 1, in its line.</param>
    /// <param name="line">From 1.</param>
    public ExpressionException(string message, int column, int line = 1)
        : base(message)
    {
        Column = column;
        Line = line;
    }

    /// <summary>From 1, in <see cref="Line"/> of the text that was compiled.</summary>
    public int Column { get; }

    /// <summary>From 1; above 1 only where the text has several lines.</summary>
    public int Line { get; }

    /// <summary>An error at a place of a text.</summary>
    /// <param name="text">The whole text.</param>
    /// <param name="position">From 0.</param>
    /// <param name="message">What is wrong; what to do.</param>
    public static ExpressionException At(string text, int position, string message)
    {
        var before = text.AsSpan(0, Math.Min(position, text.Length));
        var line = before.Count('\n') + 1;
        return new ExpressionException(message, before.Length - (before.LastIndexOf('\n') + 1) + 1, line);
    }
}
