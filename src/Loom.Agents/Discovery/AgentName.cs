using System.Globalization;
using System.Text;

namespace Loom.Agents.Discovery;

/// <summary>What an agent may be called.</summary>
public static class AgentName
{
    /// <summary>Longest name.</summary>
    public const int Longest = 63;

    /// <summary>The grammar in words.</summary>
    public const string Grammar = "a name is a-z, 0-9, _ and -, at most 63 characters, and begins with a letter or a digit";

    // Names of parts in status, logs and topics.
    private static readonly string[] s_reserved = ["loom", "runtime", "mcp", "models", "engines", "pools"];

    /// <summary>Whether the text follows the grammar of agents, MCP servers and providers.</summary>
    public static bool IsValid(string name)
    {
        if (name.Length is 0 or > Longest || !(char.IsAsciiLetterLower(name[0]) || char.IsAsciiDigit(name[0])))
        {
            return false;
        }

        foreach (var c in name)
        {
            if (!char.IsAsciiLetterLower(c) && !char.IsAsciiDigit(c) && c is not ('_' or '-'))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether the name belongs to a part of Loom. Engines run as <c>engine-POOL-rN</c>.</summary>
    public static bool IsReserved(string name) =>
        s_reserved.Contains(name, StringComparer.Ordinal) || (name.StartsWith("engine-", StringComparison.Ordinal) && IsReplica(name.AsSpan(name.LastIndexOf('-') + 1)));

    /// <summary>A valid name that resembles a file's: for a script that was named by its path alone.</summary>
    public static string From(string stem)
    {
        var name = new StringBuilder();
        foreach (var c in stem.ToLower(CultureInfo.InvariantCulture))
        {
            name.Append(char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_' ? c : '-');
        }

        var text = name.ToString().TrimStart('-', '_');
        text = text.Length > Longest ? text[..Longest] : text;
        return text.Length == 0 || IsReserved(text) ? $"script-{text}".TrimEnd('-') : text;
    }

    private static bool IsReplica(ReadOnlySpan<char> part) => part.Length > 1 && part[0] == 'r' && part[1..].IndexOfAnyExceptInRange('0', '9') < 0;
}
