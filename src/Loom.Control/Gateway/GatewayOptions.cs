namespace Loom.Control.Gateway;

/// <summary>Settings of the request path.</summary>
public sealed record GatewayOptions
{
    /// <summary>Largest request body in bytes: 1024 to 1 GiB, default 32 MiB (<c>serving.max_body_bytes</c>).</summary>
    public long MaxBodyBytes { get; init; } = 33554432;

    /// <summary>Longest wait for a slot without an explicit deadline, default 300 s (<c>serving.queue_timeout_ms</c>).</summary>
    public TimeSpan QueueTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Engine silence allowed before the first token, default 300 s (<c>serving.first_token_timeout_ms</c>).</summary>
    public TimeSpan FirstTokenTimeout { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Engine silence allowed after the first token, default 120 s (<c>serving.stream_idle_timeout_ms</c>).</summary>
    public TimeSpan StreamIdleTimeout { get; init; } = TimeSpan.FromSeconds(120);

    /// <summary>A client that accepts no byte for this long is cancelled, default 60 s (<c>serving.client_stall_timeout_ms</c>).</summary>
    public TimeSpan ClientStallTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Interval of SSE comments on a waiting stream, default 15 s (<c>serving.sse_keepalive_ms</c>).</summary>
    public TimeSpan SseKeepAlive { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>A waiting stream gets its headers after this, default 10 s (<c>serving.sse_early_headers_ms</c>).</summary>
    public TimeSpan SseEarlyHeaders { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Longest time until an engine or provider accepts a connection, 5 s.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Longest time a client may take to send its body, 30 s.</summary>
    public TimeSpan BodyTimeout { get; init; } = TimeSpan.FromSeconds(30);
}
