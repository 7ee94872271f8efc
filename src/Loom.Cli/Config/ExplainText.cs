using System.Globalization;
using System.Text;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>Everything about one setting, for people.</summary>
internal static class ExplainText
{
    public static string Write(LoadResult result, ShownSetting shown)
    {
        var setting = shown.Setting;
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"{shown.Key}: {setting.Description}\n");
        Row(text, "value", $"{shown.Text ?? "unset"}  ({SourceText.Of(shown.Value.Source)})");
        Row(text, "type", TypeOf(setting));
        Row(text, "default", Default(setting));
        Row(text, "variables", string.Join(", ", setting.Variables));
        Row(text, "loom.toml", setting.InFile ? Place(shown) : "no");
        Row(text, "system", $"{setting.System}, from {setting.Source}");
        text.Append("layers, the first that gives a value wins:\n");
        foreach (var (source, value, wins) in shown.Layers(result))
        {
            text.Append(CultureInfo.InvariantCulture, $"  {(wins ? '>' : ' ')} {SourceText.Of(source)} = {value ?? "unset"}\n");
        }

        return text.ToString();
    }

    /// <summary>Type, range and unit on one line.</summary>
    public static string TypeOf(Setting setting)
    {
        var text = setting.Kind.ToString().ToLowerInvariant();
        text += (setting.Min, setting.Max) switch
        {
            ("", "") => "",
            ("", _) => $", at most {setting.Max}",
            (_, "") => $", at least {setting.Min}",
            _ => $", {setting.Min} to {setting.Max}",
        };
        text += setting.Kind == SettingKind.String && (setting.Min.Length > 0 || setting.Max.Length > 0) ? " characters" : "";
        text += setting.Unit.Length == 0 ? "" : setting.Kind is SettingKind.List or SettingKind.Set ? $" of {setting.Unit}" : $" ({setting.Unit})";
        text += setting.Allowed.Length == 0 ? "" : ": " + setting.Allowed.Replace(";", ", ", StringComparison.Ordinal);
        return setting.IsSecret ? text + ", secret" : text;
    }

    private static string Default(Setting setting)
    {
        var text = setting.Default.Length == 0 ? "unset" : setting.Default;
        text += setting.DefaultCloud.Length == 0 ? "" : $"; CLOUD: {setting.DefaultCloud}";
        return setting.DefaultTest is { } test ? $"{text}; test mode: {test}" : text;
    }

    private static string Place(ShownSetting shown) =>
        shown.Parts.Length == 1 ? $"{shown.Key} = ..." : $"[{KeyText.Join(shown.Parts.AsSpan(0, shown.Parts.Length - 1))}] {KeyText.Quoted(shown.Parts[^1])} = ...";

    private static void Row(StringBuilder text, string name, string value)
    {
        if (value.Length > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"  {name,-10} {value}\n");
        }
    }
}
