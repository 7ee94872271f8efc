using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Harness.Components.BuiltIns.Models;
using Loom.Harness.Components.BuiltIns.Web;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary>What components of a system may ask for in their constructors.</summary>
/// <param name="settings">Providers and tokens.</param>
/// <param name="time">Clock.</param>
/// <param name="loggers">Logs.</param>
/// <param name="routes">Where the endpoints of the system put their routes; null = routes of its own.</param>
internal sealed class HarnessServices(SettingsSnapshot settings, TimeProvider time, ILoggerFactory loggers, EndpointRoutes? routes = null) : IServiceProvider, IDisposable
{
    private readonly Random _random = new();
    // Redirects are answers: they could lead to a host that is not allowed.
    private readonly Lazy<HttpClient> _http = new(static () => new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    });

    /// <summary>Routes of the system's own endpoints, for the listener that serves them.</summary>
    public EndpointRoutes Routes { get; } = routes ?? new();

    private ModelClients Models => field ??= ModelClients.From(settings, Gateway, _http.Value, time);

    // The runtime of the project says where it listens; without one it is the address it would take. A wildcard listens on loopback too.
    private Uri Gateway
    {
        get
        {
            var run = RunDirectory.Of(settings.ProjectFolder);
            RunningApi.CheckOwner(run);
            if (RunState.Read(run.State)?.Addresses.GetValueOrDefault("api") is { } running && Uri.TryCreate(running, UriKind.Absolute, out var address))
            {
                return address;
            }

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
        : serviceType == typeof(IEndpointRoutes) ? Routes
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
