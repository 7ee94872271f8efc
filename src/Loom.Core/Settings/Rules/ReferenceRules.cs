using System.Collections.Immutable;

namespace Loom.Core.Settings.Rules;

/// <summary>Names that must mean something, and settings that exclude each other: R10, R11.</summary>
internal static class ReferenceRules
{
    /// <summary>The engine that needs no table.</summary>
    private const string BuiltInEngine = "embedded";

    public static void Alternatives(Draft draft)
    {
        if (draft.IsGiven("auth.token") && draft.IsGiven("auth.token_file"))
        {
            draft.Report("R10", "auth.token_file", "the token is given twice; auth.token is given too", "keep one of LLORCH_API_TOKEN and LLORCH_API_TOKEN_FILE");
        }

        foreach (var name in draft.Names("llm"))
        {
            if (draft.IsGiven(Draft.Key("llm", name, "api_key")) && draft.IsGiven(Draft.Key("llm", name, "api_key_env")))
            {
                draft.Report("R10", Draft.Key("llm", name, "api_key_env"), "the key is given twice; api_key is given too", "keep one of api_key and api_key_env");
            }
        }
    }

    public static void Pools(Draft draft)
    {
        var engines = draft.Names("serving.engines");
        foreach (var pool in draft.Names("serving.pools"))
        {
            var key = Draft.Key("serving", "pools", pool, "engine");
            if (draft.Value<string>(key, "serving.pools.*.engine") is { } engine && !draft.IsAtFault(key)
                && engine is not BuiltInEngine && !engines.Contains(engine, StringComparer.Ordinal))
            {
                Unknown(draft, key, "engine", engine, [BuiltInEngine, .. engines], $"[serving.engines.{KeyText.Quoted(engine)}]");
            }
        }
    }

    public static void Engines(Draft draft)
    {
        var providers = draft.Names("llm");
        foreach (var engine in draft.Names("serving.engines"))
        {
            var key = Draft.Key("serving", "engines", engine, "provider");
            if (draft.IsGiven(key) && draft.Value<string>(key) is { } provider && !providers.Contains(provider, StringComparer.Ordinal))
            {
                Unknown(draft, key, "provider", provider, [.. providers], $"[llm.{KeyText.Quoted(provider)}]");
            }
        }
    }

    public static void Aliases(Draft draft)
    {
        var owners = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var pool in draft.Names("serving.pools"))
        {
            owners.TryAdd(pool, pool);
        }

        foreach (var pool in draft.Names("serving.pools"))
        {
            var key = Draft.Key("serving", "pools", pool, "aliases");
            if (!draft.IsGiven(key))
            {
                continue;
            }

            foreach (var alias in draft.Value<ImmutableArray<string>>(key))
            {
                if (!owners.TryAdd(alias, pool) && !string.Equals(owners[alias], pool, StringComparison.Ordinal))
                {
                    draft.Report("R11", key, $"'{alias}' is already a name of pool '{owners[alias]}'", "give each pool names of its own");
                }
            }
        }
    }

    private static void Unknown(Draft draft, string key, string what, string name, string[] known, string table)
    {
        var nearest = Nearest.Of(name, known);
        draft.Report("R11", key, $"there is no {what} '{Redaction.Plain(name)}'", nearest is null ? $"add {table}" : $"did you mean '{nearest}'? Otherwise add {table}");
    }
}
