using System.Net;
using Loom.Agents.Project;
using Loom.Cli.Composition;
using Loom.Control;
using Loom.Core.Settings;
using Loom.Harness.Components.BuiltIns.Models;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary>What components of a system may ask for in their constructors.</summary>
internal sealed class HarnessServices : IServiceProvider, IDisposable
{
    private readonly Random _random = new();
    // Redirects are answers: they could lead to a host that is not allowed.
    private readonly Lazy<HttpClient> _http = new(static () => new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) })
    {
        Timeout = Timeout.InfiniteTimeSpan,
    });

    private readonly Lazy<ModelClients> _models;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _loggers;

    public HarnessServices(TimeProvider time, ILoggerFactory loggers, SettingsSnapshot settings)
    {
        _time = time;
        _loggers = loggers;
        _models = new Lazy<ModelClients>(() => ModelClients.From(settings, GatewayOf(settings), _http.Value, time));
    }

    public object? GetService(Type serviceType) =>
        serviceType == typeof(TimeProvider) ? _time
        : serviceType == typeof(ILoggerFactory) ? _loggers
        : serviceType == typeof(Random) ? _random
        : serviceType == typeof(HttpClient) ? _http.Value
        : serviceType == typeof(IModelClients) ? _models.Value
        : serviceType == typeof(IChatClient) ? _models.Value.Chat(null)
        : serviceType == typeof(IEmbeddingGenerator<string, Embedding<float>>) || serviceType == typeof(IEmbeddingGenerator) ? _models.Value.Embeddings(null)
        : null;

    public void Dispose()
    {
        if (_http.IsValueCreated)
        {
            _http.Value.Dispose();
        }
    }

    // The runtime of the project says where it listens; without one the address it would take.
    private static Uri GatewayOf(SettingsSnapshot settings)
    {
        var run = RunDirectory.Of(settings.ProjectFolder);
        RunningApi.CheckOwner(run);
        if (RunState.Read(run.State)?.Addresses.GetValueOrDefault("api") is { } running && Uri.TryCreate(running, UriKind.Absolute, out var address))
        {
            return address;
        }

        var bind = settings.Get(ControlSettings.Bind);
        var host = IPAddress.TryParse(bind.Host, out var ip) && (ip.Equals(IPAddress.Any) || ip.Equals(IPAddress.IPv6Any)) ? "127.0.0.1" : bind.Host;
        return new UriBuilder(Uri.UriSchemeHttp, host, bind.Port).Uri;
    }
}
