using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Cli.Config;

/// <summary>One setting with its value, ready to be shown.</summary>
/// <param name="Key">Concrete key.</param>
/// <param name="Parts">Its parts.</param>
/// <param name="Setting">Its row.</param>
/// <param name="Value">Value and source.</param>
/// <param name="Mask">Takes out the secrets of the configuration, wherever they stand.</param>
internal sealed record ShownSetting(string Key, string[] Parts, Setting Setting, SettingValue Value, SecretMask Mask)
{
    /// <summary>Every value in force, starred keys once for each of their names, in the order of the registry.</summary>
    public static IEnumerable<ShownSetting> All(SettingsSnapshot snapshot, SettingRegistry registry)
    {
        var mask = new SecretMask(SecretValues.From(snapshot));
        foreach (var setting in registry.All)
        {
            foreach (var parts in Concrete(snapshot, [.. setting.Segments], 0))
            {
                yield return Of(snapshot, setting, parts, mask);
            }
        }
    }

    /// <summary>One setting at a concrete key, or the defaults of a starred one.</summary>
    public static ShownSetting Of(SettingsSnapshot snapshot, Setting setting, string[] parts) => Of(snapshot, setting, parts, new SecretMask(SecretValues.From(snapshot)));

    private static ShownSetting Of(SettingsSnapshot snapshot, Setting setting, string[] parts, SecretMask mask)
    {
        var key = KeyText.Join(parts);
        var value = snapshot.Values.TryGetValue(key, out var found) ? found : snapshot.Values[setting.Key];
        return new ShownSetting(key, parts, setting, value, mask);
    }

    /// <summary>The value as text, redacted; null when unset.</summary>
    public string? Text => Value.Value is null ? null
        : LateReference.Shown(Safe(Setting.Text(Value.Value switch
        {
            // Texts in lists and free values are escaped: masked before.
            ImmutableArray<string> items => items.Select(Safe).ToImmutableArray(),
            FreeValue free => free.Map(Safe),
            var value => value,
        })));

    /// <summary>A text of the value without secrets and user parts of urls.</summary>
    public string Safe(string text) =>
        Redaction.WithoutUserParts(Setting.IsSecret ? text : Mask.Apply(new SecretMask(Value.Referred, shortest: 1).Apply(text)));

    /// <summary>What every layer gave, the winner first; below the given ones the default.</summary>
    public IEnumerable<(SettingSource Source, string? Value, bool Wins)> Layers(LoadResult result)
    {
        var won = false;
        foreach (var given in result.Given.GetValueOrDefault(Key) ?? [])
        {
            var wins = !won && given.Value is not null;
            won |= wins;
            yield return (given.Source, Setting.IsSecret ? Redaction.Shown(given) : Mask.Apply(Redaction.Shown(given)), wins);
        }

        if (!won)
        {
            yield return (Value.Source, Text, true);
        }
        else if (Setting.Default.Length > 0)
        {
            yield return (SettingSource.Default, Setting.Default, false);
        }
    }

    private static IEnumerable<string[]> Concrete(SettingsSnapshot snapshot, string[] parts, int from)
    {
        var star = Array.IndexOf(parts, "*", from);
        if (star < 0)
        {
            yield return parts;
            yield break;
        }

        foreach (var name in snapshot.Names(KeyText.Join(parts.AsSpan(0, star))))
        {
            string[] filled = [.. parts];
            filled[star] = name;
            foreach (var concrete in Concrete(snapshot, filled, star + 1))
            {
                yield return concrete;
            }
        }
    }
}
