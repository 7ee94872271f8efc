namespace Loom.Harness.Architecture.Yaml;

/// <summary>Where a character inside a scalar stands in the file.</summary>
internal static class YamlPlace
{
    /// <summary>Line and column of a character of the scalar's text.</summary>
    /// <param name="scalar">The scalar.</param>
    /// <param name="column">The character, from 1; 0 when unknown.</param>
    /// <remarks>Exact for text on one line without escapes; else the scalar's own place, which is never wrong, only coarse.</remarks>
    public static (int Line, int Column) Inside(YamlScalar scalar, int column)
    {
        var plain = column > 0 && scalar.Style != ScalarStyle.Block && scalar.Text.AsSpan(0, Math.Min(column, scalar.Text.Length)).IndexOfAny("\n\\'\"") < 0;
        return plain ? (scalar.Line, scalar.Column + column - 1 + (scalar.Style == ScalarStyle.Quoted ? 1 : 0)) : (scalar.Line, scalar.Column);
    }
}
