using Loom.Control;
using Loom.Core.Settings;
using Loom.Harness.Components.BuiltIns.Models;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary>What components of a system may ask for in their constructors.</summary>
/// <param name="settings">Providers and tokens.</param>
/// <param name="time">Clock.</param>
/// <param name="loggers">Logs.</param>
internal sealed class HarnessServices(SettingsSnapshot settings, TimeProvider time, ILoggerFactory loggers) : IServiceProvider, IDisposable
{
    private readonly Random _random = new();
    private readonly Lazy<HttpClient> _http = new(static () => new HttpClient { Timeout = Timeout.InfiniteTimeSpan });

    private ModelClients Models => field ??= ModelClients.From(settings, Gateway, _http.Value, time);

    // A wildcard listens on loopback too.
    private Uri Gateway
    {
        get
        {
            var bind = settings.Get(ControlSettings.Bind);
            var host = bind.Host is "0.0.0.0" or "::" or "*" ? "127.0.0.1" : bind.Host;
            return new UriBuilder("http", host, bind.Port).Uri;
        }
    }

    public object? GetService(Type serviceType) =>
        serviceType == typeof(TimeProvider) ? time
        : serviceType == typeof(ILoggerFactory) ? loggers
        : serviceType == typeof(Random) ? _random
        : serviceType == typeof(HttpClient) ? _http.Value
        : serviceType == typeof(IModelClients) ? Models
        : serviceType == typeof(IChatClient) ? Models.Chat(null)
        : serviceType == typeof(IEmbeddingGenerator<string, Embedding<float>>) || serviceType == typeof(IEmbeddingGenerator) ? Models.Embeddings(null)
        : null;

    public void Dispose()
    {
        if (_http.IsValueCreated)
        {
            _http.Value.Dispose();
        }
    }
}
