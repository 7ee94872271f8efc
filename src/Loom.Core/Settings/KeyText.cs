using System.Text;

namespace Loom.Core.Settings;

/// <summary>Dotted keys with names that users chose: a name that is no bare TOML key is quoted, so that two keys never read the same.</summary>
public static class KeyText
{
    /// <summary>Joins parts of a key.</summary>
    public static string Join(ReadOnlySpan<string> parts)
    {
        if (parts.Length == 1 && IsBare(parts[0]))
        {
            return parts[0];
        }

        var text = new StringBuilder();
        foreach (var part in parts)
        {
            if (text.Length > 0)
            {
                text.Append('.');
            }

            text.Append(Quoted(part));
        }

        return text.ToString();
    }

    /// <summary>The part as it stands in a key: bare, or in quotes.</summary>
    public static string Quoted(string part) =>
        IsBare(part) ? part : "\"" + part.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";

    /// <summary>Splits a key as a user writes it after <c>--set</c>; null when quotes do not match or a part is empty.</summary>
    public static string[]? Split(string key)
    {
        var parts = new List<string>();
        for (var i = 0; i <= key.Length;)
        {
            var part = new StringBuilder();
            if (i < key.Length && key[i] == '"')
            {
                for (i++; i < key.Length && key[i] != '"'; i++)
                {
                    if (key[i] == '\\' && i + 1 < key.Length)
                    {
                        i++;
                    }

                    part.Append(key[i]);
                }

                if (i++ == key.Length)
                {
                    return null;
                }
            }
            else
            {
                var end = key.IndexOf('.', i);
                end = end < 0 ? key.Length : end;
                part.Append(key, i, end - i);
                i = end;
                if (part.Length == 0)
                {
                    return null;
                }
            }

            parts.Add(part.ToString());
            if (i < key.Length && key[i] != '.')
            {
                return null;
            }

            i++;
        }

        return [.. parts];
    }

    /// <summary>A starred key with its stars replaced by names.</summary>
    internal static string Fill(Setting setting, ReadOnlySpan<string> names)
    {
        if (names.IsEmpty)
        {
            return setting.Key;
        }

        var parts = new string[setting.Segments.Length];
        var next = 0;
        for (var i = 0; i < parts.Length; i++)
        {
            parts[i] = setting.Segments[i] is "*" && next < names.Length ? names[next++] : setting.Segments[i];
        }

        return Join(parts);
    }

    private static bool IsBare(string part)
    {
        foreach (var c in part)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '-' or '*'))
            {
                return false;
            }
        }

        return part.Length > 0;
    }
}
