using Microsoft.Extensions.Logging;

namespace Loom.Cli.Harness;

/// <summary>What components of a system may ask for in their constructors.</summary>
internal sealed class HarnessServices(TimeProvider time, ILoggerFactory loggers) : IServiceProvider, IDisposable
{
    private readonly Random _random = new();
    private readonly Lazy<HttpClient> _http = new(static () => new HttpClient { Timeout = Timeout.InfiniteTimeSpan });

    public object? GetService(Type serviceType) =>
        serviceType == typeof(TimeProvider) ? time
        : serviceType == typeof(ILoggerFactory) ? loggers
        : serviceType == typeof(Random) ? _random
        : serviceType == typeof(HttpClient) ? _http.Value
        : null;

    public void Dispose()
    {
        if (_http.IsValueCreated)
        {
            _http.Value.Dispose();
        }
    }
}
