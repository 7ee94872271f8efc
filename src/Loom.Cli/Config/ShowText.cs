using System.Globalization;
using System.Text;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>The result as TOML that loads again, with the source behind each line; what cannot be loaded stands as a comment.</summary>
internal static class ShowText
{
    public static string Write(SettingsSnapshot snapshot, IEnumerable<ShownSetting> settings)
    {
        var text = new StringBuilder();
        text.Append(CultureInfo.InvariantCulture, $"# profile {ConfigJson.ProfileName(snapshot.Profile)}, mode {ConfigJson.ModeName(snapshot)}, project {snapshot.ProjectFolder}\n");

        // A table may be written once only, so lines are gathered by table first.
        var tables = new Dictionary<string, List<string>>(StringComparer.Ordinal) { [""] = [] };
        foreach (var shown in settings)
        {
            var table = KeyText.Join(shown.Parts.AsSpan(0, shown.Parts.Length - 1));
            if (!tables.TryGetValue(table, out var lines))
            {
                tables[table] = lines = [];
            }

            lines.Add(Line(shown));
        }

        foreach (var (table, lines) in tables)
        {
            if (table.Length > 0)
            {
                // A table of comments alone need not exist, and some may not.
                text.Append(CultureInfo.InvariantCulture, $"\n{(lines.TrueForAll(l => l[0] == '#') ? "# " : "")}[{table}]\n");
            }

            foreach (var line in lines)
            {
                text.Append(line).Append('\n');
            }
        }

        return text.ToString();
    }

    private static string Line(ShownSetting shown)
    {
        var name = KeyText.Quoted(shown.Parts[^1]);
        var source = SourceText.Of(shown.Value.Source);
        if (shown.Value.Value is null)
        {
            return $"# {name} is unset";
        }

        var literal = shown.Setting.IsSecret ? shown.Text! : TomlLiteral.OfValue(shown.Setting, shown.Value.Value);
        var safe = shown.Setting.IsSecret ? literal : TomlLiteral.OfValue(shown.Setting, shown.Value.Value, shown.Safe);
        var loads = !shown.Setting.IsSecret && shown.Setting.InFile && string.Equals(safe, literal, StringComparison.Ordinal);
        return $"{(loads ? "" : "# ")}{name} = {safe}  # {source}";
    }
}
