namespace Loom.Control.Gateway;

/// <summary>A request to an engine or provider that remembers whether a connection was opened for it.</summary>
internal sealed class UpstreamRequest(Uri target) : HttpRequestMessage(HttpMethod.Post, target)
{
    private volatile bool _connects;

    /// <summary>Whether no connection was idle when it was sent. When it is false and the request failed, a reused connection failed.</summary>
    public bool Connects
    {
        get => _connects;
        set => _connects = value;
    }
}
