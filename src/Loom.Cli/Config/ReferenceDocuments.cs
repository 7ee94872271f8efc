using System.Globalization;
using System.Text;
using Loom.Core.Settings;
using Loom.Harness.Components;
using Loom.Harness.Components.Reference;

namespace Loom.Cli.Config;

/// <summary>The generated documents in <c>docs/reference</c>; a test compares them with the registry.</summary>
internal static class ReferenceDocuments
{
    /// <summary>File name and text of each.</summary>
    public static (string File, string Text)[] All(SettingRegistry registry) =>
        [
            ("configuration.md", Page(registry)), ("settings.csv", ReferenceRows.Csv(registry)), ("loom.schema.json", SchemaDocument.Write(registry)),
            ("harness-components.md", ComponentPage.Write(ComponentCatalog.BuiltIns)),
        ];

    private static string Page(SettingRegistry registry)
    {
        var text = new StringBuilder("""
            # Configuration

            Written from the registry by `loom config reference docs/reference`; do not edit. `loom config explain KEY` tells the same about one setting, with
            the values it has now.

            A value comes from the first of: the command line (`--set KEY=VALUE`), the environment, `.env` beside `loom.toml`, `loom.toml`, the profile (HOME or
            CLOUD), the default. A key is its place in `loom.toml`: `serving.bind` is `bind` in `[serving]`; `*` is a name you choose. In defaults `{key}` is the
            value of that key, `a|b` the first that can be used, and a trailing `?` means: if the path exists.

            """);
        foreach (var system in registry.All.GroupBy(s => s.System, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n## {char.ToUpperInvariant(system.Key[0])}{system.Key[1..]}\n\n| key | default | type | variables | |\n|---|---|---|---|---|\n");
            foreach (var setting in system)
            {
                text.Append(CultureInfo.InvariantCulture,
                    $"| `{setting.Key}` | {Cell(Default(setting))} | {Cell(ExplainText.TypeOf(setting))} | {string.Join(", ", setting.Variables.Select(v => $"`{v}`"))} | {Cell(setting.Description)} |\n");
            }
        }

        text.Append("\n## Variables\n\n| variable | key |\n|---|---|\n");
        foreach (var (name, key) in registry.All.SelectMany(s => s.Variables.Select(v => (v, s.Key))).OrderBy(p => p.v, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"| `{name}` | `{key}` |\n");
        }

        return text.ToString();
    }

    private static string Default(Setting setting)
    {
        var text = setting.Default.Length == 0 ? "" : $"`{setting.Default}`";
        return setting.DefaultCloud.Length == 0 ? text : $"{text} CLOUD: `{setting.DefaultCloud}`".TrimStart();
    }

    // A | inside a cell would end it, also in code.
    private static string Cell(string text) => text.Replace("|", "\\|", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal);
}
