using System.Text;

namespace Loom.Core.Settings;

/// <summary>
/// References whose value is known only when a process is planned: <c>${agent.replica}</c>, <c>${port.NAME}</c>, <c>${run.id}</c>. Inside a settled value they
/// stand between two noncharacters of Unicode, so that a literal <c>${</c> of the user is never taken for one.
/// </summary>
public static class LateReference
{
    private const char Open = '\uFDD0';
    private const char Close = '\uFDD1';

    /// <summary>A reference as it stands inside a value.</summary>
    /// <param name="name">For example <c>port.http</c>.</param>
    public static string Of(string name) => $"{Open}{name}{Close}";

    /// <summary>Whether a value holds one.</summary>
    public static bool IsIn(string text) => text.Contains(Open, StringComparison.Ordinal);

    /// <summary>The names a value holds, in order.</summary>
    public static IEnumerable<string> Names(string text)
    {
        for (var open = text.IndexOf(Open, StringComparison.Ordinal); open >= 0; open = text.IndexOf(Open, open + 1))
        {
            var close = text.IndexOf(Close, open);
            if (close > open)
            {
                yield return text[(open + 1)..close];
            }
        }
    }

    /// <summary>The value with each reference replaced.</summary>
    /// <param name="text">The value.</param>
    /// <param name="value">What stands for a name; null leaves the reference in place.</param>
    public static string Fill(string text, Func<string, string?> value)
    {
        if (!IsIn(text))
        {
            return text;
        }

        var filled = new StringBuilder(text.Length);
        var copied = 0;
        for (var open = text.IndexOf(Open, StringComparison.Ordinal); open >= 0; open = text.IndexOf(Open, open + 1))
        {
            var close = text.IndexOf(Close, open);
            if (close > open && value(text[(open + 1)..close]) is { } found)
            {
                filled.Append(text, copied, open - copied).Append(found);
                copied = close + 1;
            }
        }

        return filled.Append(text, copied, text.Length - copied).ToString();
    }

    /// <summary>The value as a user writes it.</summary>
    public static string Shown(string text) =>
        IsIn(text) ? text.Replace(Open.ToString(), "${", StringComparison.Ordinal).Replace(Close.ToString(), "}", StringComparison.Ordinal) : text;

    /// <summary>The value as it may come to look, for a reader that judges its form: every reference is a number.</summary>
    internal static string Sample(string text) => Fill(text, static _ => "1");
}
