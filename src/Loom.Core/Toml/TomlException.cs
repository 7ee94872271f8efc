namespace Loom.Core.Toml;

/// <summary>A document that is not TOML 1.0, with the place and what is wrong there.</summary>
public sealed class TomlException : Exception
{
    internal TomlException(TomlText text, int offset, int length, string message)
        : base(message)
    {
        Position = text.Position(offset);
        SourceLine = text.Line(Position.Line);
        var lineEnd = offset;
        while (lineEnd < text.Value.Length && text.Value[lineEnd] is not ('\n' or '\r'))
        {
            lineEnd++;
        }

        Length = Math.Max(1, text.CharacterCount(offset, Math.Min(offset + length, lineEnd)));
    }

    /// <summary>Where the fault is.</summary>
    public TomlPosition Position { get; }

    /// <summary>Number of characters at fault, at least 1, on that line.</summary>
    public int Length { get; }

    /// <summary>The line at fault.</summary>
    public string SourceLine { get; }
}
