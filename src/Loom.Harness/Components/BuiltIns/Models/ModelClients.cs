using System.Collections.Immutable;
using Loom.Components;
using Loom.Core.Settings;
using Microsoft.Extensions.AI;

namespace Loom.Harness.Components.BuiltIns.Models;

/// <summary>Models by the provider that answers for them.</summary>
internal interface IModelClients
{
    /// <summary>Chats; null = Loom's own API.</summary>
    /// <exception cref="ItemException">There is no such provider.</exception>
    IChatClient Chat(string? provider);

    /// <summary>Makes vectors; null = Loom's own API.</summary>
    /// <exception cref="ItemException">There is no such provider.</exception>
    IEmbeddingGenerator<string, Embedding<float>> Embeddings(string? provider);
}

/// <summary>The gateway and the providers of <c>[llm.NAME]</c>. Safe for concurrent use.</summary>
internal sealed class ModelClients : IModelClients
{
    private readonly HttpClient _http;
    private readonly TimeProvider _time;
    private readonly ImmutableDictionary<string, ModelEndpoint> _endpoints;

    /// <param name="http">Transport without a time limit of its own; waits are ended by tokens.</param>
    /// <param name="time">Clock of the time limits.</param>
    /// <param name="endpoints">Providers; the one called <c>gateway</c> is meant when none is named.</param>
    public ModelClients(HttpClient http, TimeProvider time, IEnumerable<ModelEndpoint> endpoints)
    {
        _http = http;
        _time = time;
        _endpoints = endpoints.ToImmutableDictionary(e => e.Name, StringComparer.Ordinal);
    }

    /// <summary>The ones of a configuration.</summary>
    /// <param name="settings">Providers and tokens.</param>
    /// <param name="gateway">Address of Loom's own API without a path.</param>
    /// <param name="http">Transport without a time limit of its own.</param>
    /// <param name="time">Clock of the time limits.</param>
    public static ModelClients From(SettingsSnapshot settings, Uri gateway, HttpClient http, TimeProvider time)
    {
        var own = ModelEndpoint.OfGateway(settings, gateway);
        var providers = settings.Names("llm").Where(n => n != ModelEndpoint.Gateway).Select(n => ModelEndpoint.OfProvider(settings, n, own));
        return new ModelClients(http, time, providers.Prepend(own));
    }

    /// <inheritdoc />
    public IChatClient Chat(string? provider)
    {
        var endpoint = Find(provider);
        return endpoint.Mock ? new MockModel() : new HttpChatClient(new ModelWire(_http, endpoint, _time));
    }

    /// <inheritdoc />
    public IEmbeddingGenerator<string, Embedding<float>> Embeddings(string? provider)
    {
        var endpoint = Find(provider);
        return endpoint.Mock ? new MockModel() : new HttpEmbeddings(new ModelWire(_http, endpoint, _time));
    }

    private ModelEndpoint Find(string? provider) => _endpoints.TryGetValue(provider ?? ModelEndpoint.Gateway, out var found)
        ? found
        : throw new ItemException(
            "unknown_provider",
            $"there is no provider \"{provider}\" (there are {string.Join(", ", _endpoints.Keys.Order(StringComparer.Ordinal))}); add [llm.{provider}] to loom.toml",
            ErrorClass.Configuration);
}
