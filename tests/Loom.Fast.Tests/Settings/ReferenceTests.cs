using Loom.Cli.Composition;
using Loom.Cli.Config;
using Loom.Core.Settings;
using Loom.Testing;
using Loom.Testing.Settings;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Settings;

/// <summary>Registry, settings list, reference page and schema agree.</summary>
public sealed class ReferenceTests
{
    [Fact]
    public void Documents_InTheRepository_AreThoseOfTheRegistry()
    {
        foreach (var (file, text) in ReferenceDocuments.All(LoomRegistry.Instance))
        {
            var path = Path.Combine(Repository.Root, "docs", "reference", file);
            var same = File.Exists(path) && string.Equals(File.ReadAllText(path), text, StringComparison.Ordinal);
            same.ShouldBeTrue($"docs/reference/{file} is not what the registry gives; rewrite it: ./loom config reference docs/reference");
        }
    }

    [Fact]
    public void Registry_EveryRow_EqualsTheSettingsListOfTheSpecs()
    {
        var spec = SpecRows.Read();
        Assert.SkipWhen(spec is null, "the specs are not here; they lie in shared/spec of the workspace");
        var differences = new List<string>();
        foreach (var setting in LoomRegistry.Instance.All)
        {
            if (!spec!.TryGetValue(setting.Key, out var row))
            {
                differences.Add($"{setting.Key}: not in the list");
                continue;
            }

            differences.AddRange(ReferenceRows.Cells(setting).Where(c => c.Text != row[c.Column]).Select(c => $"{setting.Key} {c.Column}: declared '{c.Text}', listed '{row[c.Column]}'"));
        }

        differences.ShouldBeEmpty();
    }

    /// <summary>The derived names are right for every row of every system, built or not.</summary>
    [Fact]
    public void MechanicalNames_OfAllSpecRows_AreTheListedOnes()
    {
        var spec = SpecRows.Read();
        Assert.SkipWhen(spec is null, "the specs are not here; they lie in shared/spec of the workspace");
        foreach (var (key, row) in spec!)
        {
            SettingNames.SystemOf(key).ShouldBe(row["system"], key);
            if (row["source"] == "decision" && !row["variables"].Contains(';', StringComparison.Ordinal) && row["variables"].Contains("__", StringComparison.Ordinal))
            {
                SettingNames.Mechanical(key).ShouldBe([row["variables"]], key);
            }
        }
    }

    [Fact]
    public void Registry_KeyOrVariableDeclaredTwice_IsRefused()
    {
        var a = Setting.Bool("x.a", "A.", variables: ["LOOM_A"]);
        Should.Throw<ArgumentException>(() => new SettingRegistry([a, Setting.Bool("x.a", "A.", variables: [])]));
        Should.Throw<ArgumentException>(() => new SettingRegistry([a, Setting.Bool("x.b", "B.", variables: ["LOOM_A"])]));
    }

    [Fact]
    public void Registry_EveryDefault_PassesItsOwnRule()
    {
        var rows = SpecRows.Settings;
        foreach (var profile in Enum.GetValues<SettingsProfile>())
        {
            var world = new DefaultWorld(profile, TestMode: false, new ParseContext("/project", "/home/user"), static _ => false);
            new Freezing(new SettingRegistry(rows), world).Freeze().Values.Count.ShouldBe(rows.Length);
        }
    }
}
