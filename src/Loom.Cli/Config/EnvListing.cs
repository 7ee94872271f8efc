using System.Globalization;
using System.Text;
using Loom.Agents.Plans;
using Loom.Core.Paths;
using Loom.Core.Settings;
using Loom.Node.Engines;

namespace Loom.Cli.Config;

/// <summary>One variable Loom reads.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Key">The setting it sets.</param>
/// <param name="Source">Where it is set; null when it is not.</param>
/// <param name="Value">Its value, redacted; null when it is not set.</param>
internal sealed record EnvLine(string Name, string Key, SettingSource? Source, string? Value);

/// <summary>The variables of the registry: what is set, and a template to set more.</summary>
internal static class EnvListing
{
    public static IEnumerable<EnvLine> Lines(LoadResult result, SettingRegistry registry, bool all)
    {
        foreach (var setting in registry.All)
        {
            foreach (var name in setting.Variables)
            {
                if (result.Variables.TryGetValue(name, out var variable))
                {
                    yield return new EnvLine(name, setting.Key, variable.Source, Redaction.Shown(setting, variable.Text, name));
                }
                else if (all)
                {
                    yield return new EnvLine(name, setting.Key, null, null);
                }
            }
        }
    }

    /// <summary>Kinds of child whose environment can be told.</summary>
    public static readonly string[] Children = ["agent", "engine"];

    /// <summary>What a child of a kind gets, as far as it is known before a start; no source = Loom sets it.</summary>
    /// <param name="result">The load.</param>
    /// <param name="registry">The settings of this build.</param>
    /// <param name="kind">One of <see cref="Children"/>.</param>
    public static IEnumerable<EnvLine> OfChild(LoadResult result, SettingRegistry registry, string kind)
    {
        var settings = result.Snapshot;
        var environment = kind == "agent"
            ? ProjectPlanner.EnvironmentOf(settings, new DiskFiles(), "agent")
            : EngineEnvironment.Common(settings.Environment, DataFolders.From(settings), static _ => { });
        var mask = new SecretMask(SecretValues.With(SecretValues.From(settings), kind, environment), shortest: 1);
        foreach (var (name, value) in environment.OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            var inherited = result.Variables.TryGetValue(name, out var variable) && string.Equals(variable.Text, value, StringComparison.Ordinal);
            yield return new EnvLine(name, registry.OfVariable(name)?.Key ?? "", inherited ? variable!.Source : new SettingSource(SettingLayer.Derived),
                SecretValues.IsSecretName(name) ? $"[redacted:{name}]" : Redaction.Plain(mask.Apply(value)));
        }
    }

    /// <summary>An env file in which every variable is a comment without value.</summary>
    public static string Template(SettingRegistry registry)
    {
        var text = new StringBuilder("# Variables Loom reads. Take the # away from a line and give it a value; `loom config explain NAME` tells more.\n");
        foreach (var system in registry.All.GroupBy(s => s.System, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"\n# ---- {system.Key}\n");
            foreach (var setting in system.Where(s => s.Variables.Length > 0))
            {
                text.Append(CultureInfo.InvariantCulture, $"# {setting.Description} {ExplainText.TypeOf(setting)}; default {(setting.Default.Length == 0 ? "unset" : setting.Default)}\n");
                text.Append(CultureInfo.InvariantCulture, $"#{setting.Variables[0]}=\n");
            }
        }

        return text.ToString();
    }
}
