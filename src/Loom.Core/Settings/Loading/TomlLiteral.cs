using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Loom.Core.Settings;

/// <summary>Values as TOML writes them.</summary>
internal static class TomlLiteral
{
    /// <summary>A text of a setting, for a suggestion.</summary>
    public static string Of(SettingKind kind, string text) => kind switch
    {
        SettingKind.Bool or SettingKind.Int or SettingKind.Float => text,
        SettingKind.Duration or SettingKind.Size when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _) => text,
        SettingKind.List or SettingKind.Set => Array(text.Split(',', StringSplitOptions.RemoveEmptyEntries)),
        _ => Text(text),
    };

    /// <summary>A parsed value; <c>loom.toml</c> reads it back to the same value.</summary>
    public static string OfValue(Setting setting, object value) => OfValue(setting, value, static text => text);

    /// <summary>A parsed value whose texts go through <paramref name="shown"/> before they are quoted.</summary>
    public static string OfValue(Setting setting, object value, Func<string, string> shown) => value switch
    {
        ImmutableArray<string> items => Array(items.Select(shown)),
        ImmutableArray<long> items => "[" + string.Join(", ", items.Select(i => i.ToString(CultureInfo.InvariantCulture))) + "]",
        ImmutableArray<Uri> items => Array(items.Select(i => shown(i.OriginalString))),
        bool or long or double or TimeSpan => setting.Text(value),
        FreeValue free => Free(free.Raw, shown),
        _ => Text(shown(setting.Text(value))),
    };

    private static string Free(RawValue value, Func<string, string> shown) => value.Kind switch
    {
        RawKind.Text => Text(shown(value.Text)),
        RawKind.Array => "[" + string.Join(", ", value.Items.Select(i => Free(i, shown))) + "]",
        RawKind.Table => value.Entries.IsEmpty ? "{}" : "{ " + string.Join(", ", value.Entries.Select(e => $"{KeyText.Quoted(e.Key)} = {Free(e.Value, shown)}")) + " }",
        RawKind.Float => Float(value.Float),
        _ => value.ToString(),
    };

    // A float stays one: 2.0 is not 2, and infinity has names of its own.
    private static string Float(double value)
    {
        var text = value.ToString("R", CultureInfo.InvariantCulture);
        return double.IsNaN(value) ? "nan" : double.IsInfinity(value) ? value > 0 ? "inf" : "-inf" : text.AsSpan().IndexOfAny(".eE") < 0 ? text + ".0" : text;
    }

    private static string Array(IEnumerable<string> items) => "[" + string.Join(", ", items.Select(Text)) + "]";

    private static string Text(string text)
    {
        // A literal ${ would be read as a reference.
        var built = new StringBuilder(text.Length + 2).Append('"');
        foreach (var c in LateReference.Shown(text.Replace("${", "$${", StringComparison.Ordinal)))
        {
            _ = c switch
            {
                '"' => built.Append("\\\""),
                '\\' => built.Append("\\\\"),
                '\n' => built.Append("\\n"),
                '\t' => built.Append("\\t"),
                < ' ' or '\u007F' => built.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:X4}"),
                _ => built.Append(c),
            };
        }

        return built.Append('"').ToString();
    }
}
