using Loom.Control.Gateway;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Loom.Control.Api;

/// <summary>What one client connection keeps between its requests.</summary>
internal sealed class ApiContext
{
    private readonly GatewayServices _services;
    private InferenceCall? _call;

    public ApiContext(IFeatureCollection features, GatewayServices services)
    {
        _services = services;
        Http = new DefaultHttpContext(features);
        Errors = features.Get<ServerErrors>();
        // The transport sees the end of the connection once; the framework's per-request token would cost each request.
        features.Get<IConnectionLifetimeFeature>()?.ConnectionClosed.UnsafeRegister(static context => ((ApiContext)context!).OnClosed(), this);
    }

    /// <summary>Called when the connection has ended.</summary>
    public event Action<ApiContext>? Closed;

    /// <summary>The request that runs.</summary>
    public DefaultHttpContext Http { get; }

    /// <summary>What shapes the web server's own errors on this connection.</summary>
    public ServerErrors? Errors { get; }

    /// <summary>The credentials it has shown.</summary>
    public Gatekeeper.Pass Pass { get; } = new();

    /// <summary>The inference call of this connection; made when it is first needed.</summary>
    public InferenceCall Call => _call ??= new InferenceCall(_services);

    /// <summary>Ends the call that runs because the server stops.</summary>
    public void Shutdown() => _call?.Shutdown();

    private void OnClosed()
    {
        _call?.ClientGone();
        Closed?.Invoke(this);
    }
}
