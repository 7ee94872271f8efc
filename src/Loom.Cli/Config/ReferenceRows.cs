using System.Text;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>The settings list: one row per setting, as <c>docs/reference/settings.csv</c> holds it.</summary>
internal static class ReferenceRows
{
    /// <summary>The columns of a row, in order.</summary>
    public static (string Column, string Text)[] Cells(Setting setting) =>
    [
        ("key", setting.Key),
        ("variables", string.Join(';', setting.Variables)),
        ("type", setting.Kind.ToString().ToLowerInvariant()),
        ("default", setting.Default),
        ("default_cloud", setting.DefaultCloud),
        ("min", setting.Min),
        ("max", setting.Max),
        ("allowed", setting.Allowed),
        ("unit", setting.Unit),
        ("secret", setting.IsSecret ? "yes" : "no"),
        ("system", setting.System),
        ("source", setting.Source),
        ("description", setting.Description),
    ];

    /// <summary>The whole list as CSV.</summary>
    public static string Csv(SettingRegistry registry)
    {
        var text = new StringBuilder("key,variables,type,default,default_cloud,min,max,allowed,unit,secret,system,source,description\n");
        foreach (var setting in registry.All)
        {
            text.AppendJoin(',', Cells(setting).Select(c => Quoted(c.Text))).Append('\n');
        }

        return text.ToString();
    }

    private static string Quoted(string cell) =>
        cell.AsSpan().IndexOfAny(",\"\n") < 0 ? cell : "\"" + cell.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"";
}
