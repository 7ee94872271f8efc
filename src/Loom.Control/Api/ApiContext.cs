using Loom.Control.Gateway;
using Loom.Core.Web;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Loom.Control.Api;

/// <summary>What one client connection keeps between its requests.</summary>
internal sealed class ApiContext
{
    private readonly GatewayServices _services;
    private InferenceCall? _call;
    private Action<ApiContext>? _whenClosed;
    private volatile bool _closed;

    public ApiContext(IFeatureCollection features, GatewayServices services)
    {
        _services = services;
        Http = new DefaultHttpContext(features);
        Errors = features.Get<ServerErrors>();
    }

    /// <summary>The request that runs.</summary>
    public DefaultHttpContext Http { get; }

    /// <summary>What shapes the web server's own errors on this connection.</summary>
    public ServerErrors? Errors { get; }

    /// <summary>The credentials it has shown.</summary>
    public Gatekeeper.Pass Pass { get; } = new();

    /// <summary>The inference call of this connection; made when it is first needed.</summary>
    public InferenceCall Call => _call ?? MakeCall();

    /// <summary>Ends the call that runs because the server stops.</summary>
    public void Shutdown() => _call?.Shutdown();

    /// <summary>Watches for the end of the connection, which may have come already.</summary>
    /// <param name="whenClosed">Called once at the end, from here if it has come.</param>
    public void Watch(Action<ApiContext> whenClosed)
    {
        _whenClosed = whenClosed;
        // The transport sees the end of the connection once; the framework's per-request token would cost each request.
        Http.Features.Get<IConnectionLifetimeFeature>()?.ConnectionClosed.UnsafeRegister(static context => ((ApiContext)context!).OnClosed(), this);
    }

    private InferenceCall MakeCall()
    {
        var call = new InferenceCall(_services);
        _call = call;
        // Either OnClosed sees the call or we see that it ran.
        Interlocked.MemoryBarrier();
        if (_closed)
        {
            call.Dispose();
        }

        return call;
    }

    private void OnClosed()
    {
        _closed = true;
        Interlocked.MemoryBarrier();
        _call?.Dispose();
        _whenClosed!(this);
    }
}
