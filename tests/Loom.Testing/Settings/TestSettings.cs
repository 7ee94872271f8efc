using Loom.Core.Settings;

namespace Loom.Testing.Settings;

/// <summary>Snapshots for tests, without files or environment.</summary>
public static class TestSettings
{
    /// <summary>A HOME snapshot of the given rows with some keys set, as <c>--set KEY=VALUE</c> would. Relative paths start from /project.</summary>
    /// <param name="settings">Rows; usually <c>[.. SharedSettings.All, .. ServingSettings.All]</c>.</param>
    /// <param name="values">Concrete keys (<c>serving.pools.chat.slots</c>) and texts.</param>
    /// <exception cref="ArgumentException">A key is unknown or a value is refused.</exception>
    public static SettingsSnapshot Snapshot(IEnumerable<Setting> settings, params ReadOnlySpan<(string Key, string Value)> values)
    {
        var registry = new SettingRegistry([.. settings]);
        var world = new DefaultWorld(SettingsProfile.Home, TestMode: false, new ParseContext("/project", "/home/user"), static _ => false);
        var freezing = new Freezing(registry, world);
        foreach (var (key, value) in values)
        {
            var parts = KeyText.Split(key) ?? throw new ArgumentException($"not a key: {key}", nameof(values));
            var setting = registry.Find(parts) ?? throw new ArgumentException($"no setting {key}", nameof(values));
            var result = setting.Parse(RawValue.Of(value), world.Paths);
            freezing.Give(setting, parts, result.Value ?? throw new ArgumentException($"{key}: {result.Message}", nameof(values)), new SettingSource(SettingLayer.CommandLine, "--set"));
        }

        return freezing.Freeze();
    }
}
