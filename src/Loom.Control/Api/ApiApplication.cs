using System.Collections.Concurrent;
using Loom.Control.Gateway;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Abstractions;
using Microsoft.AspNetCore.Http.Features;

namespace Loom.Control.Api;

/// <summary>Connects the web server to the router: one context a connection, no middleware and no container on the way.</summary>
internal sealed class ApiApplication(ApiRouter router, GatewayServices services) : IHttpApplication<ApiContext>
{
    private readonly ConcurrentDictionary<ApiContext, bool> _open = new();
    private int _running;

    /// <summary>Requests being served.</summary>
    public int Running => Volatile.Read(ref _running);

    /// <summary>Ends all inference calls that run.</summary>
    public void Shutdown()
    {
        foreach (var (context, _) in _open)
        {
            context.Shutdown();
        }
    }

    public ApiContext CreateContext(IFeatureCollection contextFeatures)
    {
        Interlocked.Increment(ref _running);
        if (contextFeatures is not IHostContextContainer<ApiContext> connection)
        {
            throw new NotSupportedException("the web server keeps no context by connection");
        }

        var context = connection.HostContext;
        if (context is null)
        {
            connection.HostContext = context = new ApiContext(contextFeatures, services);
            _open.TryAdd(context, true);
            // In this order: the connection may be gone already.
            context.Watch(closed => _open.TryRemove(closed, out _));
        }
        else
        {
            context.Http.Initialize(contextFeatures);
        }

        context.Errors?.RequestRuns = true;
        return context;
    }

    public Task ProcessRequestAsync(ApiContext context) => router.HandleAsync(context);

    public void DisposeContext(ApiContext context, Exception? exception)
    {
        context.Errors?.RequestRuns = false;
        context.Http.Uninitialize();
        Interlocked.Decrement(ref _running);
    }
}
