using System.Text;

namespace Loom.Core.Settings;

/// <summary>How values are shown to people and programs: secrets never, the user part of urls never, control characters and length tamed.</summary>
public static class Redaction
{
    private const int Longest = 200;

    /// <summary>A given text of a setting, fit to be shown.</summary>
    /// <param name="setting">The setting it was given for.</param>
    /// <param name="text">The text.</param>
    /// <param name="name">Variable or reference it came from; the name inside <c>[redacted:NAME]</c>.</param>
    public static string Shown(Setting setting, string text, string? name = null) =>
        !setting.IsSecret ? Plain(text)
        : setting.Key is "auth.token" ? Secret.Token(text).ToString()
        : $"[redacted:{name ?? (setting.Variables.Length > 0 ? setting.Variables[0] : setting.Segments[^1])}]";

    /// <summary>A given value, fit to be shown: also without what references to secret variables put into it.</summary>
    internal static string Shown(GivenValue given) =>
        Shown(given.Setting, new SecretMask(given.Referred, shortest: 1).Apply(given.Raw.ToString()), given.SecretName);

    /// <summary>Any text with the user part of urls redacted, control characters replaced and cut after 200 characters.</summary>
    public static string Plain(string text)
    {
        var shown = WithoutUserParts(LateReference.Shown(text));
        if (shown.Length > Longest)
        {
            shown = string.Concat(shown.AsSpan(0, Longest), "...");
        }

        var built = new StringBuilder(shown.Length);
        foreach (var c in shown)
        {
            built.Append(c is '\n' ? "\\n" : c is '\t' ? " " : char.IsControl(c) ? "?" : c.ToString());
        }

        return built.ToString();
    }

    /// <summary>The text with <c>://user:password@</c> replaced by <c>://[redacted]@</c>.</summary>
    public static string WithoutUserParts(string text)
    {
        for (var scheme = text.IndexOf("://", StringComparison.Ordinal); scheme >= 0; scheme = text.IndexOf("://", scheme, StringComparison.Ordinal))
        {
            scheme += 3;
            var end = text.AsSpan(scheme).IndexOfAny("/?# \"',");
            var host = end < 0 ? text.AsSpan(scheme) : text.AsSpan(scheme, end);

            // The last @ counts: a password may hold one.
            var at = host.LastIndexOf('@');
            if (at > 0)
            {
                text = string.Concat(text.AsSpan(0, scheme), "[redacted]", text.AsSpan(scheme + at));
            }
        }

        return text;
    }
}
