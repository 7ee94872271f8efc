using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>
/// What must never be seen in logs and listings: the values of secret settings, and of variables whose name ends in KEY, TOKEN, SECRET, PASSWORD or CREDENTIAL.
/// </summary>
public static class SecretValues
{
    private static readonly string[] s_endings = ["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL"];

    /// <summary>Whether a variable of this name holds a secret.</summary>
    public static bool IsSecretName(string name) => Array.Exists(s_endings, ending => name.EndsWith(ending, StringComparison.Ordinal));

    /// <summary>The plain secrets of a configuration by the name they are masked with; of two that share a name, the later one goes by its key.</summary>
    public static ImmutableDictionary<string, string> From(SettingsSnapshot settings)
    {
        var found = ImmutableDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var (name, value) in settings.Environment.Where(v => IsSecretName(v.Key)))
        {
            Add(found, name, name, value);
        }

        foreach (var (key, held) in settings.Values.OrderBy(v => v.Key, StringComparer.Ordinal))
        {
            // The variables of children are secret to be safe; most are plain words that would mask half of every log.
            if (held.Value is Secret secret && (!held.Setting.Key.EndsWith(".env.*", StringComparison.Ordinal) || IsSecretName(KeyText.Split(key)?[^1] ?? key)))
            {
                Add(found, secret.Name ?? (held.Setting.Variables.Length > 0 ? held.Setting.Variables[0] : key), key, secret.Reveal());
            }
        }

        return found.ToImmutable();
    }

    /// <summary><paramref name="known"/> and the secrets among the variables one child gets.</summary>
    /// <param name="known">Secrets of the configuration.</param>
    /// <param name="child">Name of the child, which tells its own value apart from another one of the same name.</param>
    /// <param name="environment">Variables of that child.</param>
    public static ImmutableDictionary<string, string> With(ImmutableDictionary<string, string> known, string child, ImmutableDictionary<string, string> environment)
    {
        var all = known.ToBuilder();
        foreach (var (name, value) in environment.Where(v => IsSecretName(v.Key)))
        {
            Add(all, name, $"{child}.{name}", value);
        }

        return all.ToImmutable();
    }

    private static void Add(ImmutableDictionary<string, string>.Builder found, string name, string otherwise, string value)
    {
        if (value.Length > 0 && !found.ContainsValue(value))
        {
            found[found.ContainsKey(name) ? otherwise : name] = value;
        }
    }
}
