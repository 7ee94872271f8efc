namespace Loom.Runtime;

/// <summary>
/// Older before newer: runs of digits compare as numbers (b5000 is newer than b999, 1.10 than 1.9), and a pre-release (<c>1.0-rc.1</c>) is older than its
/// release.
/// </summary>
internal sealed class VersionOrder : IComparer<string>
{
    public int Compare(string? x, string? y)
    {
        var (left, leftPre) = Split(x ?? "");
        var (right, rightPre) = Split(y ?? "");
        var order = CompareRuns(left, right);
        return order != 0 ? order
            : leftPre is null || rightPre is null ? (leftPre is null).CompareTo(rightPre is null)
            : CompareRuns(leftPre, rightPre);
    }

    private static (string Release, string? Pre) Split(string version)
    {
        var plain = version.AsSpan()[..(version.IndexOf('+', StringComparison.Ordinal) is >= 0 and var build ? build : version.Length)];
        var dash = plain.IndexOf('-');
        return dash < 0 ? (plain.ToString(), null) : (plain[..dash].ToString(), plain[(dash + 1)..].ToString());
    }

    private static int CompareRuns(string a, string b)
    {
        var (i, j) = (0, 0);
        while (i < a.Length && j < b.Length)
        {
            var (left, right) = (Run(a, i), Run(b, j));
            var order = char.IsAsciiDigit(a[i]) && char.IsAsciiDigit(b[j])
                ? (left.TrimStart('0').Length, left.TrimStart('0')).CompareTo((right.TrimStart('0').Length, right.TrimStart('0')))
                : string.CompareOrdinal(left, right);
            if (order != 0)
            {
                return order;
            }

            (i, j) = (i + left.Length, j + right.Length);
        }

        return (a.Length - i).CompareTo(b.Length - j);
    }

    private static string Run(string text, int start)
    {
        var end = start + 1;
        while (end < text.Length && char.IsAsciiDigit(text[end]) == char.IsAsciiDigit(text[start]))
        {
            end++;
        }

        return text[start..end];
    }
}
