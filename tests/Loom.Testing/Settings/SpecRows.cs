using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Testing.Settings;

/// <summary>
/// The settings list beside the specs, where the workspace has it: rows as texts, and as settings, so that the loader can be tried on all systems
/// before they are built.
/// </summary>
public static class SpecRows
{
    /// <summary>Columns, in the order of the file.</summary>
    public static ImmutableArray<string> Columns { get; } =
        ["key", "variables", "default", "default_cloud", "min", "max", "allowed", "unit", "secret", "system", "source", "description"];

    /// <summary>Rows by key: the list beside the specs, else the copy that travels with the tests, so that a clone alone tests the same.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Read() => Parse(File.ReadAllText(
        Repository.Shared is { } shared ? Path.Combine(shared, "spec", "settings.csv") : Path.Combine(Repository.Root, "tests", "Loom.Testing", "Settings", "spec.csv")));

    /// <summary>Every row of every system, built or not.</summary>
    public static ImmutableArray<Setting> Settings { get; } = [.. Read().Values.Select(ToSetting)];

    /// <summary>The same as a registry.</summary>
    public static SettingRegistry Registry { get; } = new(Settings);

    /// <summary>Reads a settings list.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Parse(string csv)
    {
        var lines = csv.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var head = Cells(lines[0].TrimEnd('\r'));
        return lines.Skip(1).Select(l => Cells(l.TrimEnd('\r'))).ToDictionary(
            c => c[0],
            c => (IReadOnlyDictionary<string, string>)head.Zip(c).ToDictionary(p => p.First, p => p.Second, StringComparer.Ordinal),
            StringComparer.Ordinal);
    }

    /// <summary>A row as a setting; enums have their names as values.</summary>
    public static Setting ToSetting(IReadOnlyDictionary<string, string> row)
    {
        var (key, text, unit) = (row["key"], row["description"], row["unit"]);
        var (standard, cloud, min, max, allowed) = (row["default"], row["default_cloud"], row["min"], row["max"], row["allowed"]);
        var variables = row["variables"].Split(';', StringSplitOptions.RemoveEmptyEntries).Where(v => !v.Contains('*', StringComparison.Ordinal)).ToArray();
        var source = row["source"];
        if (key is "telemetry.log" or "runtime.env_file" || SharedSettings.All.Any(s => s.Key == key))
        {
            return SharedSettings.All.Single(s => s.Key == key);
        }

        return (row["type"], row["secret"]) switch
        {
            ("url", "yes") => Setting.SecretUrl(key, text, allowed, standard, cloud, variables, source),
            ("string", "yes") => Setting.Hidden(key, text, standard, cloud, min, max, allowed, variables, source),
            ("bool", _) => Setting.Bool(key, text, standard, cloud, variables, source, inverted: key is "runtime.prefer_release"),
            ("int", _) => Setting.Int(key, text, standard, cloud, min, max, unit, variables, source),
            ("float", _) => Setting.Float(key, text, standard, cloud, min, max, unit, variables, source),
            ("duration", _) => Setting.Duration(key, text, standard, cloud, min, max, unit, variables, source),
            ("size", _) => Setting.Size(key, text, standard, cloud, min, max, unit, variables, source),
            ("enum", _) => Setting.Enum<Choice>(key, text, allowed.Split(';').Select(n => (n, new Choice(n))).ToArray(), standard, cloud, variables, source),
            ("path", _) => Setting.Path(key, text, standard, cloud, variables, source),
            ("url", _) => Setting.Url(key, text, allowed, standard, cloud, variables, source),
            ("hostport", _) => Setting.Address(key, text, standard, cloud, variables, source),
            ("list", _) when unit == "int" => Setting.IntList(key, text, standard, cloud, min, max, variables, source),
            ("list", _) when unit == "url" => Setting.UrlList(key, text, allowed, standard, cloud, variables, source),
            ("list", _) => Setting.List(key, text, standard, cloud, unit, variables, source),
            ("set", _) => Setting.Set(key, text, standard, cloud, allowed, variables, source),
            _ when allowed.Length > 0 => Setting.Grammar<string>(key, text, allowed, t => t, t => t, standard, cloud, min, max, unit, variables, source),
            _ => Setting.String(key, text, standard, cloud, min, max, variables, source),
        };
    }

    private static List<string> Cells(string line)
    {
        var cells = new List<string>();
        for (var i = 0; i <= line.Length; i++)
        {
            if (i < line.Length && line[i] == '"')
            {
                var end = line.IndexOf('"', i + 1);
                cells.Add(line[(i + 1)..end]);
                i = end + 1;
            }
            else
            {
                var end = line.IndexOf(',', i);
                end = end < 0 ? line.Length : end;
                cells.Add(line[i..end]);
                i = end;
            }
        }

        return cells;
    }
}

/// <summary>A value of an enum known by its name only.</summary>
public readonly record struct Choice(string Name);
