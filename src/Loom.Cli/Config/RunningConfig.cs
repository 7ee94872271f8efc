using System.Text;
using System.Text.Json;
using Loom.Cli.Terminal;
using Loom.Cli.Verbs;
using Loom.Core.Settings;
using Loom.Core.Storage;

namespace Loom.Cli.Config;

/// <summary>The configuration a running Loom was started with, redacted, in <c>.loom/run/config.json</c>.</summary>
public static class RunningConfig
{
    /// <summary>Place of the file in a project.</summary>
    public static string PathIn(string projectFolder) => Path.Combine(projectFolder, ".loom", "run", "config.json");

    /// <summary>What the file says for these settings; no secrets.</summary>
    public static byte[] Content(SettingsSnapshot settings, SettingRegistry registry) =>
        Encoding.UTF8.GetBytes(ConfigJson.Show(settings, ShownSetting.All(settings, registry)) + "\n");

    /// <summary>Keeps the configuration of this start, readable by its owner only; the folder must exist.</summary>
    public static void Write(string projectFolder, byte[] content) => DurableFile.Write(PathIn(projectFolder), content);

    /// <summary>Keys whose value would be another at a start now; empty when nothing runs.</summary>
    internal static IEnumerable<string> Changed(SettingsSnapshot settings, SettingRegistry registry) =>
        File.Exists(PathIn(settings.ProjectFolder)) ? Changes(settings, registry).Select(c => c.Key) : [];

    /// <summary>Prints what differs between the running configuration and that of a start now.</summary>
    internal static int Compare(VerbContext context, SettingsSnapshot settings, SettingRegistry registry)
    {
        if (!File.Exists(PathIn(settings.ProjectFolder)))
        {
            throw new CliError(ExitCode.Usage, "NOT_RUNNING", $"nothing was started in {settings.ProjectFolder}", "loom up");
        }

        var changes = Changes(settings, registry);
        if (context.Terminal.Json)
        {
            context.Terminal.Out.WriteLine(ConfigJson.Document(json =>
            {
                json.WriteStartArray("changes");
                foreach (var (key, before, after) in changes)
                {
                    json.WriteStartObject();
                    json.WriteString("key", key);
                    json.WritePropertyName("running");
                    json.WriteRawValue(before);
                    json.WritePropertyName("now");
                    json.WriteRawValue(after);
                    json.WriteEndObject();
                }

                json.WriteEndArray();
            }));
        }
        else if (changes.Count == 0)
        {
            context.Terminal.Note("nothing has changed since the start");
        }
        else
        {
            context.Terminal.Table([["KEY", "RUNNING", "NOW"], .. changes.Select(c => new[] { c.Key, c.Running, c.Now })]);
        }

        return ExitCode.Ok;
    }

    /// <summary>What differs, by key, as JSON texts.</summary>
    private static List<(string Key, string Running, string Now)> Changes(SettingsSnapshot settings, SettingRegistry registry)
    {
        var running = Values(File.ReadAllText(PathIn(settings.ProjectFolder)));
        var now = Values(ConfigJson.Show(settings, ShownSetting.All(settings, registry)));
        return [.. running.Keys.Union(now.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal)
            .Select(k => (Key: k, Running: running.GetValueOrDefault(k, "null"), Now: now.GetValueOrDefault(k, "null")))
            .Where(c => !string.Equals(c.Running, c.Now, StringComparison.Ordinal))];
    }

    private static Dictionary<string, string> Values(string text)
    {
        using var document = JsonDocument.Parse(text);
        return document.RootElement.GetProperty("settings").EnumerateArray()
            .ToDictionary(s => s.GetProperty("key").GetString()!, s => s.GetProperty("value").GetRawText(), StringComparer.Ordinal);
    }
}
