using System.Globalization;

namespace Loom.Core.Settings;

/// <summary>Values as TOML writes them.</summary>
internal static class TomlLiteral
{
    /// <summary>The text a reader would type for a value in TOML.</summary>
    public static string Of(SettingKind kind, string text) => kind switch
    {
        SettingKind.Bool or SettingKind.Int or SettingKind.Float or SettingKind.Size => text,
        SettingKind.Duration when double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _) => text,
        SettingKind.List or SettingKind.Set => "[" + string.Join(", ", text.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(i => Of(SettingKind.String, i))) + "]",
        _ => "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"",
    };
}
