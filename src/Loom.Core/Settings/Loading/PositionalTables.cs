namespace Loom.Core.Settings;

/// <summary>Which starred tables are written as an array of tables, where a table's name is its position.</summary>
public static class PositionalTables
{
    private static readonly string[][] s_all = [["harness", "systems"]];

    /// <summary>Whether the tables under a key have positions for names.</summary>
    public static bool Has(IReadOnlyList<string> path) => s_all.Any(p => p.SequenceEqual(path, StringComparer.Ordinal));
}
