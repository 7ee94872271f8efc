using System.Collections.Immutable;
using Loom.Core.Settings;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>An OpenAI-compatible address models are asked at.</summary>
/// <param name="Name">How it is called: <c>gateway</c>, or the name of an <c>[llm.NAME]</c>.</param>
/// <param name="Base">Base of its routes with a trailing slash, for instance <c>http://127.0.0.1:8080/v1/</c>.</param>
internal sealed record ModelEndpoint(string Name, Uri Base)
{
    /// <summary>Name of Loom's own API among the providers.</summary>
    public const string Gateway = "gateway";

    /// <summary>The bearer token; asked for each request, since the gateway's changes when it starts anew. Null = none is sent.</summary>
    public Func<string?> Token { get; init; } = static () => null;

    /// <summary>Further request headers; never shown.</summary>
    public ImmutableDictionary<string, string> Headers { get; init; } = ImmutableDictionary<string, string>.Empty;

    /// <summary>Model asked for when a request names none; null = a request must name one.</summary>
    public string? Model { get; init; }

    /// <summary>Most tokens of an answer when a request does not say; null = the other side's default.</summary>
    public int? MaxTokens { get; init; }

    /// <summary>Temperature when a request does not say; null = the other side's default.</summary>
    public float? Temperature { get; init; }

    /// <summary>Longest exchange; unlimited for the gateway, which has limits of its own.</summary>
    public TimeSpan Timeout { get; init; } = System.Threading.Timeout.InfiniteTimeSpan;

    /// <summary>Whether it answers with made-up text, without a model and without a network.</summary>
    public bool Mock { get; init; }

    /// <summary>Loom's own API.</summary>
    /// <param name="settings">Where its token stands.</param>
    /// <param name="address">Its address without a path.</param>
    public static ModelEndpoint OfGateway(SettingsSnapshot settings, Uri address)
    {
        var file = Path.Combine(settings.ProjectFolder, ".loom", "run", "token");
        var token = settings.GetOrNull(SharedSettings.Token)?.Reveal();
        return new ModelEndpoint(Gateway, new Uri(address, "/v1/")) { Token = () => token ?? ReadToken(file) };
    }

    /// <summary>An <c>[llm.NAME]</c>.</summary>
    /// <param name="settings">Where it stands.</param>
    /// <param name="name">Its name.</param>
    /// <param name="gateway">Loom's own API, which a provider of type <c>local</c> means.</param>
    public static ModelEndpoint OfProvider(SettingsSnapshot settings, string name, ModelEndpoint gateway)
    {
        var url = settings.GetOrNull(ProviderSettings.BaseUrl, name);
        var key = ProviderSettings.KeyOf(settings, name);
        var local = settings.Get(ProviderSettings.Type, name) == ProviderType.Local;
        return new ModelEndpoint(name, url is null ? gateway.Base : new Uri(url.OriginalString.TrimEnd('/') + "/"))
        {
            Token = key is null && local && url is null ? gateway.Token : () => key,
            Headers = settings.Names("llm.*.headers", name).ToImmutableDictionary(h => h, h => settings.Get(ProviderSettings.Headers, name, h).Reveal()),
            Model = settings.GetOrNull(ProviderSettings.Model, name),
            MaxTokens = (int)settings.Get(ProviderSettings.MaxTokens, name),
            Temperature = (float)settings.Get(ProviderSettings.Temperature, name),
            Timeout = settings.Get(ProviderSettings.Timeout, name),
            Mock = settings.Get(ProviderSettings.Type, name) == ProviderType.Mock,
        };
    }

    private static string? ReadToken(string file)
    {
        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // On loopback inference needs none; where one is needed the answer is 401, which says so.
            return null;
        }
    }
}
