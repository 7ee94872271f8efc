using System.Collections.Immutable;
using Loom.Core.Settings;
using Loom.Node.Provisioning;

namespace Loom.Node.Settings;

/// <summary>Cross rules about engines, pools, models and providers that need this room's knowledge: R10, R11, R12.</summary>
public static class NodeRules
{
    /// <summary>All of them; the composition adds them to <see cref="Loom.Core.Settings.Rules.CrossRules.All"/>.</summary>
    public static ImmutableArray<Action<Draft>> All { get; } = [KindsHaveWhatTheyNeed, ProvidersHaveAnAddress, ProviderPools, Models, OfferedPools, Ports];

    private static void KindsHaveWhatTheyNeed(Draft draft)
    {
        foreach (var engine in draft.Names("serving.engines"))
        {
            var kindKey = Draft.Key("serving", "engines", engine, "kind");
            if (!draft.IsGiven(kindKey))
            {
                continue;
            }

            switch (draft.Value<EngineKindName>(kindKey))
            {
                case EngineKindName.Command when !draft.IsGiven(Draft.Key("serving", "engines", engine, "command")):
                    Missing(draft, kindKey, Draft.Key("serving", "engines", engine, "command"), "kind command needs a command",
                        """command = ["vllm", "serve", "{model}", "--port", "{port}"]""");
                    break;
                case EngineKindName.OpenAI when !draft.IsGiven(Draft.Key("serving", "engines", engine, "provider")):
                    Missing(draft, kindKey, Draft.Key("serving", "engines", engine, "provider"), "kind openai needs a provider",
                        "provider = the NAME of an [llm.NAME]");
                    break;
                case EngineKindName.OpenAI:
                    ProviderIsRemote(draft, engine);
                    break;
                case EngineKindName.LlamaServer:
                    Download(draft, engine);
                    break;
            }
        }
    }

    private static void ProviderIsRemote(Draft draft, string engine)
    {
        var key = Draft.Key("serving", "engines", engine, "provider");
        var provider = draft.Value<string>(key) ?? "";
        var type = Draft.Key("llm", provider, "type");
        if (draft.Names("llm").Contains(provider, StringComparer.Ordinal) && !draft.IsAtFault(type)
            && draft.Value<ProviderType>(type, "llm.*.type") != ProviderType.Http)
        {
            draft.Report("R11", key, $"[llm.{provider}] is not of type http: there is no API behind it that a pool could use", "name a provider of type http");
        }
    }

    private static void Download(Draft draft, string engine)
    {
        var url = Draft.Key("serving", "engines", engine, "url");
        var version = Draft.Key("serving", "engines", engine, "version");
        if (draft.IsGiven(url) && !draft.IsGiven(version) && !draft.IsAtFault(version))
        {
            draft.Report("R10", url, "a download needs the version it is", $"version = \"...\" in [serving.engines.{engine}]");
        }

        var binary = Draft.Key("serving", "engines", engine, "binary");
        if (draft.IsGiven(url) && draft.IsGiven(binary))
        {
            draft.Report("R10", url, "the engine is given twice; binary is given too", "keep one of binary and url");
        }
    }

    private static void ProvidersHaveAnAddress(Draft draft)
    {
        foreach (var name in draft.Names("llm"))
        {
            var url = Draft.Key("llm", name, "base_url");
            var type = Draft.Key("llm", name, "type");
            if (!draft.IsAtFault(type) && !draft.IsAtFault(url) && !draft.IsGiven(url) && draft.Value<ProviderType>(type, "llm.*.type") == ProviderType.Http)
            {
                draft.Report("R10", url, "type http needs the address of the provider", "base_url = \"https://...\", or type = \"local\"");
            }
        }
    }

    // Each [llm.NAME] of type http is a pool llm-NAME without being written.
    private static void ProviderPools(Draft draft)
    {
        var pools = draft.Names("serving.pools");
        foreach (var name in draft.Names("llm"))
        {
            var url = Draft.Key("llm", name, "base_url");
            if (pools.Contains($"llm-{name}", StringComparer.Ordinal)
                && draft.Value<ProviderType>(Draft.Key("llm", name, "type"), "llm.*.type") == ProviderType.Http)
            {
                draft.Report("R11", url, $"[llm.{name}] makes a pool 'llm-{name}', and [serving.pools.llm-{name}] is one too", "give the pool another name");
            }
        }
    }

    private static void Models(Draft draft)
    {
        var catalog = draft.Names("models");
        foreach (var pool in draft.Names("serving.pools"))
        {
            var key = Draft.Key("serving", "pools", pool, "models");
            if (!draft.IsGiven(key) || !LoadsFiles(draft, pool))
            {
                continue;
            }

            foreach (var model in draft.Value<ImmutableArray<string>>(key))
            {
                if (model != "demo" && !catalog.Contains(model, StringComparer.Ordinal) && ModelReference.IdFor(model) == model)
                {
                    draft.Report("R11", key, $"there is no model '{model}'",
                        $"add [models.{model}], or write demo, file:PATH, https://... or hf:org/repo/file.gguf");
                }
            }
        }
    }

    // Kinds command, openai and mock take names of their own.
    private static bool LoadsFiles(Draft draft, string pool)
    {
        var engine = draft.Value<string>(Draft.Key("serving", "pools", pool, "engine"), "serving.pools.*.engine");
        var kind = Draft.Key("serving", "engines", engine ?? "", "kind");
        return engine == "embedded" && !draft.IsGiven(kind)
            || (draft.IsGiven(kind) && draft.Value<EngineKindName>(kind) is EngineKindName.Embedded or EngineKindName.LlamaServer);
    }

    private static void OfferedPools(Draft draft)
    {
        const string Key = "serving.node.pools";
        var pools = draft.Names("serving.pools");
        if (!draft.IsGiven(Key) || draft.IsAtFault(Key))
        {
            return;
        }

        foreach (var pool in draft.Value<ImmutableArray<string>>(Key))
        {
            if (!pools.Contains(pool, StringComparer.Ordinal) && !(pools.IsEmpty && pool == "default"))
            {
                draft.Report("R11", Key, $"there is no pool '{pool}'", pools.IsEmpty
                    ? "default is the only pool, or add [serving.pools.NAME]" : $"known pools: {string.Join(", ", pools)}");
            }
        }
    }

    private static void Ports(Draft draft)
    {
        const string Key = "serving.node.engine_ports";
        if (!draft.IsAtFault(Key) && draft.Value<PortPair>(Key) is { } ports && ports.First > ports.Last)
        {
            draft.Report("R12", Key, $"the first port, {ports.First}, is above the last, {ports.Last}", $"{ports.Last}-{ports.First}");
        }
    }

    private static void Missing(Draft draft, string kind, string key, string message, string fix)
    {
        if (!draft.IsAtFault(key))
        {
            draft.Report("R10", kind, message, fix);
        }
    }
}
