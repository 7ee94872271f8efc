namespace Loom.Harness.Architecture.Yaml;

/// <summary>Where a character inside a scalar stands in the file.</summary>
internal static class YamlPlace
{
    /// <summary>Line and column of a character of the scalar's text.</summary>
    /// <param name="scalar">The scalar.</param>
    /// <param name="column">The character, from 1; 0 when unknown.</param>
    /// <remarks>Exact for text on one line without escapes. In a block the line is exact where nothing is folded, and the column is that of the block; else it is
    /// the scalar's own place, which is never wrong, only coarse.</remarks>
    public static (int Line, int Column) Inside(YamlScalar scalar, int column)
    {
        if (scalar.Line == 0 || column == 0)
        {
            return (scalar.Line, scalar.Column);
        }

        var before = scalar.Text.AsSpan(0, Math.Min(column - 1, scalar.Text.Length));
        if (scalar.Style == ScalarStyle.Block)
        {
            return (scalar.Line + 1 + before.Count('\n'), scalar.Column);
        }

        var exact = before.IndexOfAny("\n\\'\"") < 0;
        return exact ? (scalar.Line, scalar.Column + column - 1 + (scalar.Style == ScalarStyle.Quoted ? 1 : 0)) : (scalar.Line, scalar.Column);
    }
}
