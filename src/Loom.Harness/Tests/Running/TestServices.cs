using Loom.Harness.Components.BuiltIns.Models;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Tests.Running;

/// <summary>What components of a case may ask for: the clock and the chance of the case, and a network only where the test is live.</summary>
/// <param name="time">The case's clock.</param>
/// <param name="random">The case's chance.</param>
/// <param name="logs">Logs.</param>
/// <param name="live">Everything else; null: nothing reaches a network.</param>
internal sealed class TestServices(TimeProvider time, Random random, ILoggerFactory logs, IServiceProvider? live) : IServiceProvider, IDisposable
{
    private readonly HttpClient _refusing = new(new Refusing());

    public object? GetService(Type serviceType) =>
        serviceType == typeof(TimeProvider) ? time
        : serviceType == typeof(Random) ? random
        : serviceType == typeof(ILoggerFactory) ? logs
        : live is not null ? live.GetService(serviceType)
        : serviceType == typeof(HttpClient) ? _refusing
        : serviceType == typeof(IModelClients) || serviceType == typeof(IChatClient) || serviceType == typeof(IEmbeddingGenerator) || serviceType == typeof(IEmbeddingGenerator<string, Embedding<float>>)
            ? throw new InvalidOperationException("a test reaches no model; mock the component, or write live: true")
        : null;

    public void Dispose() => _refusing.Dispose();

    private sealed class Refusing : HttpMessageHandler
    {
        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) =>
            throw new InvalidOperationException($"a test reaches no network ({request.RequestUri?.Host}); mock the component, or write live: true");
    }
}
