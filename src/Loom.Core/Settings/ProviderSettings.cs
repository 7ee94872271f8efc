using System.Collections.Immutable;

namespace Loom.Core.Settings;

/// <summary>Settings of <c>[llm.NAME]</c>: who answers for a model. Pools forward to providers, agents are told of them.</summary>
public static class ProviderSettings
{
    public static readonly Setting<ProviderType> Type = Setting.Enum<ProviderType>("llm.*.type", "local = Loom's own API.",
        [("http", ProviderType.Http), ("local", ProviderType.Local), ("mock", ProviderType.Mock)], "http");

    public static readonly Setting<Uri> BaseUrl = Setting.Url("llm.*.base_url", "Base address of an OpenAI-compatible provider; required for type http.",
        source: "seeds/003");

    public static readonly Setting<string> Model = Setting.String("llm.*.model", "Model asked for when a request names none.", source: "seeds/003");

    public static readonly Setting<Secret> ApiKey = Setting.Hidden("llm.*.api_key", "Key sent to the provider; write it as a reference to a variable.",
        source: "seeds/003");

    public static readonly Setting<string> ApiKeyEnv = Setting.String("llm.*.api_key_env",
        "Name of the variable that holds the key; not together with api_key.");

    public static readonly Setting<Secret> Headers = Setting.Hidden("llm.*.headers.*", "Further request headers.");

    public static readonly Setting<long> MaxTokens = Setting.Int("llm.*.max_tokens", "Default length of an answer.", "2048", min: "1", max: "10000000", unit: "tokens");

    public static readonly Setting<double> Temperature = Setting.Float("llm.*.temperature", "Default temperature.", "0.7", min: "0", max: "5");

    public static readonly Setting<TimeSpan> Timeout = Setting.Duration("llm.*.timeout_sec", "Longest request.", "30", min: "0.1", max: "86400");

    public static readonly Setting<FreeValue> Extra = Setting.Free("llm.*.extra.*", "Free table handed to the provider.");

    /// <summary>Every row of this subject.</summary>
    public static ImmutableArray<Setting> All { get; } = [Type, BaseUrl, Model, ApiKey, ApiKeyEnv, MaxTokens, Temperature, Timeout, Headers, Extra];

    /// <summary>The key of a provider: its own, else the value of the variable it names; null when it has none.</summary>
    public static string? KeyOf(SettingsSnapshot settings, string provider) =>
        settings.GetOrNull(ApiKey, provider)?.Reveal()
        ?? (settings.GetOrNull(ApiKeyEnv, provider) is { } variable ? settings.Environment.GetValueOrDefault(variable) : null);
}

/// <summary>What answers behind an <c>[llm.NAME]</c>.</summary>
public enum ProviderType
{
    /// <summary>Somebody else's OpenAI-compatible API.</summary>
    Http,

    /// <summary>Loom's own API.</summary>
    Local,

    /// <summary>Mock answers.</summary>
    Mock,
}
