namespace Loom.Control.Catalog;

/// <summary>Finds what a mistyped name may have meant.</summary>
internal static class NearestNames
{
    private const int Shown = 3;

    /// <summary>At most three of <paramref name="known"/>, nearest first; names that share nothing with the asked one come last.</summary>
    public static IReadOnlyList<string> Of(string asked, IEnumerable<string> known)
    {
        // Distance is quadratic in length, and the name comes from outside.
        var name = asked.Length > 128 ? asked[..128] : asked;
        return [.. known.OrderBy(k => Distance(name, k)).ThenBy(k => k, StringComparer.Ordinal).Take(Shown)];
    }

    internal static int Distance(string a, string b)
    {
        var row = new int[b.Length + 1];
        for (var j = 0; j <= b.Length; j++)
        {
            row[j] = j;
        }

        for (var i = 1; i <= a.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= b.Length; j++)
            {
                var above = row[j];
                var same = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                row[j] = Math.Min(Math.Min(row[j] + 1, row[j - 1] + 1), diagonal + same);
                diagonal = above;
            }
        }

        return row[b.Length];
    }
}
