namespace Loom.Core.Settings;

/// <summary>The sentence that says what a setting accepts; one for every fault of its value, so that the reader always learns the whole range.</summary>
internal static class Expectation
{
    public static string Of(Setting setting) => setting.Kind switch
    {
        SettingKind.Bool => "expected true or false",
        SettingKind.Int => "expected an integer" + Range(setting),
        SettingKind.Float => "expected a number" + Range(setting),
        SettingKind.Duration => $"expected a duration{Range(setting)}, such as {(setting.Unit is "ms" ? "300ms" : "1m30s")}",
        SettingKind.Size => $"expected a size{Range(setting)}, such as 10MB",
        SettingKind.Enum => "not one of: " + setting.Allowed.Replace(";", ", ", StringComparison.Ordinal),
        SettingKind.Path => "expected a path",
        SettingKind.Url => $"expected an absolute url with {Schemes(setting)}",
        SettingKind.HostPort => "expected host:port",
        SettingKind.List or SettingKind.Set => "expected a list of " + ItemName(setting),
        _ => "expected text" + Length(setting) + (setting.Allowed.Length == 0 ? "" : $" ({setting.Allowed})"),
    };

    /// <summary>Kind of item in a list, with its range.</summary>
    public static string ItemName(Setting setting) => setting.Unit switch
    {
        "int" => "integers" + Range(setting.Min, setting.Max, ""),
        "url" => "urls with " + Schemes(setting),
        "path" => "paths",
        _ when setting.Allowed.Length > 0 => "these: " + setting.Allowed.Replace(";", ", ", StringComparison.Ordinal),
        _ => "texts",
    };

    private static string Range(Setting setting) => Range(setting.Min, setting.Max, setting.Unit);

    private static string Range(string min, string max, string unit)
    {
        var range = (min.Length, max.Length) switch
        {
            (0, 0) => "",
            (0, _) => $" up to {max}",
            (_, 0) => $" from {min}",
            _ => $" from {min} to {max}",
        };
        return unit is "" or "port" ? range : $"{range} ({unit})";
    }

    private static string Length(Setting setting) => (setting.Min, setting.Max) switch
    {
        ("", "") => "",
        ("", _) => $" of up to {setting.Max} characters",
        (_, "") => $" of at least {setting.Min} characters",
        _ when string.Equals(setting.Min, setting.Max, StringComparison.Ordinal) => $" of {setting.Min} characters",
        _ => $" of {setting.Min} to {setting.Max} characters",
    };

    private static string Schemes(Setting setting) => setting.Allowed.Replace(";", ":// or ", StringComparison.Ordinal) + "://";
}
