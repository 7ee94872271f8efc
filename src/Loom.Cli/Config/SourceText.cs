using System.Globalization;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>Sources of values in words.</summary>
internal static class SourceText
{
    /// <summary>Name of a layer, as texts and JSON spell it.</summary>
    public static string Layer(SettingLayer layer) => layer switch
    {
        SettingLayer.CommandLine => "command-line",
        SettingLayer.Environment => "environment",
        SettingLayer.EnvFile => "env-file",
        SettingLayer.File => "loom.toml",
        SettingLayer.Derived => "derived",
        SettingLayer.Profile => "profile",
        SettingLayer.Mode => "mode",
        _ => "default",
    };

    /// <summary>The source on one line: <c>ORCHD_ADDR (environment)</c>, <c>loom.toml:4:8</c>, <c>default</c>.</summary>
    public static string Of(SettingSource source)
    {
        var place = source.File is null ? null : string.Create(CultureInfo.InvariantCulture, $"{source.File}:{source.Line}:{source.Column}");
        return source.Layer switch
        {
            SettingLayer.Environment or SettingLayer.CommandLine => $"{source.Name} ({Layer(source.Layer)})",
            SettingLayer.EnvFile => $"{source.Name} ({place})",
            _ => place ?? Layer(source.Layer),
        };
    }
}
