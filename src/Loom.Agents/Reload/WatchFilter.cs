using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Text;
using System.Text.RegularExpressions;
using Loom.Agents.Plans;

namespace Loom.Agents.Reload;

/// <summary>Which changed files count. Pure.</summary>
internal sealed class WatchFilter
{
    private static readonly FrozenSet<string> s_neverFolders =
        FrozenSet.Create(StringComparer.Ordinal, ".git", ".loom", ".venv", "node_modules", "__pycache__", "bin", "obj", "logs");

    private readonly ImmutableArray<Regex> _include;
    private readonly ImmutableArray<Regex> _exclude;

    internal WatchFilter(WatchPlan plan)
    {
        _include = [.. plan.Include.Select(Glob)];
        _exclude = [.. plan.Exclude.Select(Glob)];
    }

    /// <summary>Whether a folder is never looked into.</summary>
    internal static bool IsNever(ReadOnlySpan<char> folderName) => s_neverFolders.GetAlternateLookup<ReadOnlySpan<char>>().Contains(folderName);

    /// <summary>Whether a change of a file counts.</summary>
    /// <param name="relative">Its path below the watched folder; its bare name for a watched file.</param>
    internal bool Counts(string relative)
    {
        var name = Path.GetFileName(relative.AsSpan());
        var rest = relative.AsSpan();
        while (rest.IndexOf('/') is var cut and >= 0)
        {
            if (IsNever(rest[..cut]))
            {
                return false;
            }

            rest = rest[(cut + 1)..];
        }

        return !IsNever(name) && !IsTemporary(name)
            && (_include.IsEmpty || _include.Any(g => g.IsMatch(relative)))
            && !_exclude.Any(g => g.IsMatch(relative));
    }

    /// <summary>What editors leave beside a file while they save it.</summary>
    private static bool IsTemporary(ReadOnlySpan<char> name) =>
        name.EndsWith("~") || name.StartsWith(".#") || (name.StartsWith("#") && name.EndsWith("#"))
        || name.EndsWith(".swp") || name.EndsWith(".swo") || name.EndsWith(".swx") || name is "4913" // vim
        || name.EndsWith(".tmp") || name.EndsWith("___jb_tmp___") || name.EndsWith("___jb_old___") || name.StartsWith(".goutputstream-") || name.EndsWith(".kate-swp");

    /// <summary>
    /// <c>*</c> and <c>?</c> within a name, <c>**</c> over any number of folders. Without a slash a glob means the name at any depth, with one at its end the
    /// whole folder.
    /// </summary>
    private static Regex Glob(string glob)
    {
        var text = new StringBuilder("^");
        var pattern = glob.EndsWith('/') ? glob + "**" : glob;
        if (!glob.TrimEnd('/').Contains('/'))
        {
            text.Append("(?:.*/)?");
        }

        for (var i = 0; i < pattern.Length; i++)
        {
            switch (pattern[i])
            {
                case '*' when pattern.AsSpan(i).StartsWith("**/"):
                    text.Append("(?:.*/)?");
                    i += 2;
                    break;
                case '*' when pattern.AsSpan(i).StartsWith("**"):
                    text.Append(".*");
                    i++;
                    break;
                case '*':
                    text.Append("[^/]*");
                    break;
                case '?':
                    text.Append("[^/]");
                    break;
                default:
                    text.Append(Regex.Escape(pattern[i].ToString()));
                    break;
            }
        }

        return new Regex(text.Append('$').ToString(), RegexOptions.CultureInvariant | RegexOptions.NonBacktracking, TimeSpan.FromSeconds(1));
    }
}
