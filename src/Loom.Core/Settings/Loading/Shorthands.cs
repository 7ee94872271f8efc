namespace Loom.Core.Settings;

/// <summary>
/// Tables for which something shorter may stand: <c>restart = "always"</c> for its policy, <c>watch = true</c> for the paths that follow by rule, and
/// <c>depends_on = ["a"]</c> for the default condition of each name.
/// </summary>
internal static class Shorthands
{
    /// <summary>What a text stands for, or null.</summary>
    public static Setting? Policy(SettingRegistry.Node node) => node.Children?.GetValueOrDefault("policy")?.Setting;

    /// <summary>What a switch stands for, or null.</summary>
    public static Setting? Paths(SettingRegistry.Node node) => node.Children?.GetValueOrDefault("paths")?.Setting;

    /// <summary>What each name of a list stands for, or null.</summary>
    public static Setting? Condition(SettingRegistry.Node node) => node.Star?.Setting is { Kind: SettingKind.Enum } condition ? condition : null;

    /// <summary>What may stand there besides a table, for a message.</summary>
    public static string Told(SettingRegistry.Node node) =>
        Policy(node) is not null ? "a text or " : Paths(node) is not null ? "true, false or " : Condition(node) is not null ? "a list of texts or " : "";

    /// <summary>Values for a text of the command line; null when the table has no shorthand, or not this one.</summary>
    public static List<GivenValue>? Read(SettingRegistry.Node node, string[] parts, string text, SettingSource source)
    {
        GivenValue Of(Setting setting, string last, RawValue raw) => new(setting, [.. parts, last], raw, source, null, null, false, null) { Spelled = parts };

        if (Policy(node) is { } policy)
        {
            return [Of(policy, "policy", RawValue.Of(text))];
        }

        if (Paths(node) is { } paths)
        {
            var judgement = ScalarParsers.Bool(paths, RawValue.Of(text), default);
            return !judgement.Ok ? null : judgement.Value is true ? [Of(paths, "paths", RawValue.Of(System.Collections.Immutable.ImmutableArray<RawValue>.Empty))] : [];
        }

        return Condition(node) is { } condition
            ? [.. text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries).Select(n => Of(condition, n, RawValue.Of(condition.Default)))]
            : null;
    }
}
