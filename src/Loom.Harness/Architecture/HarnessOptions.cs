namespace Loom.Harness.Architecture;

/// <summary>The settings a system's plan takes its defaults from.</summary>
internal sealed record HarnessOptions
{
    /// <summary><c>streams.buffer_size</c>.</summary>
    public int BufferSize { get; init; } = 1000;

    /// <summary><c>batching.max_items</c>.</summary>
    public int MaxItems { get; init; } = 64;

    /// <summary><c>batching.max_ms</c>.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary><c>batching.error_mode</c>.</summary>
    public BatchErrorMode ErrorMode { get; init; }
}
