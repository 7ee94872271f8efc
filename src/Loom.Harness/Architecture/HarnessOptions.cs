using Loom.Core.Settings;
using Loom.Harness.Components.Options;

namespace Loom.Harness.Architecture;

/// <summary>One of <c>[[harness.systems]]</c>.</summary>
/// <param name="Folder">Absolute.</param>
/// <param name="Deployment">Absolute; null: the one in its folder, where there is one.</param>
/// <param name="Autostart">Whether it starts with <c>loom up</c>.</param>
internal sealed record ListedSystem(string Folder, string? Deployment, bool Autostart)
{
    /// <summary>All of them, in the order of the file.</summary>
    public static IReadOnlyList<ListedSystem> From(SettingsSnapshot settings) =>
    [
        .. settings.Names(HarnessSettings.Systems).Select(n => new ListedSystem(
            settings.Get(HarnessSettings.SystemPath, n),
            settings.SourceOf($"{HarnessSettings.Systems}.{n}.deployment") is null ? null : settings.Get(HarnessSettings.SystemDeployment, n),
            settings.Get(HarnessSettings.SystemAutostart, n))),
    ];
}

/// <summary>The settings of the harness, read once. A system's own policy and state come before them.</summary>
internal sealed record HarnessOptions
{
    /// <summary><c>harness.bind</c>; null means its default.</summary>
    public HostPort? Bind { get; init; }

    /// <summary><c>harness.setup_timeout</c>.</summary>
    public TimeSpan SetupTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary><c>harness.drain_timeout</c>.</summary>
    public TimeSpan DrainTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary><c>harness.cancel_timeout</c>.</summary>
    public TimeSpan CancelTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary><c>harness.cleanup_timeout</c>.</summary>
    public TimeSpan CleanupTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary><c>streams.buffer_size</c>.</summary>
    public int BufferSize { get; init; } = 1000;

    /// <summary><c>batching.max_items</c>.</summary>
    public int MaxItems { get; init; } = 64;

    /// <summary><c>batching.max_ms</c>.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromMilliseconds(5);

    /// <summary><c>batching.error_mode</c>.</summary>
    public BatchErrorMode ErrorMode { get; init; }

    /// <summary><c>state.adapter</c>; null when unset.</summary>
    public string? StateAdapter { get; init; }

    /// <summary><c>state.checkpoint_interval_s</c>.</summary>
    public TimeSpan CheckpointInterval { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary><c>state.required</c>.</summary>
    public bool StateRequired { get; init; }

    /// <summary><c>state.redis_url</c>, or <c>redis.url</c>; null when nobody has set one.</summary>
    public Secret? RedisUrl { get; init; }

    /// <summary><c>state.ttl</c>; null means that checkpoints do not age.</summary>
    public TimeSpan? StateTtl { get; init; }

    /// <summary><c>state.keep</c>.</summary>
    public int StateKeep { get; init; } = 10;

    /// <summary>Reads them.</summary>
    public static HarnessOptions From(SettingsSnapshot settings) => new()
    {
        Bind = settings.Get(HarnessSettings.Bind),
        SetupTimeout = settings.Get(HarnessSettings.SetupTimeout),
        DrainTimeout = settings.Get(HarnessSettings.DrainTimeout),
        CancelTimeout = settings.Get(HarnessSettings.CancelTimeout),
        CleanupTimeout = settings.Get(HarnessSettings.CleanupTimeout),
        BufferSize = (int)settings.Get(HarnessSettings.BufferSize),
        MaxItems = (int)settings.Get(HarnessSettings.MaxItems),
        MaxWait = TimeSpan.FromMilliseconds(settings.Get(HarnessSettings.MaxMs)),
        ErrorMode = settings.Get(HarnessSettings.ErrorMode),
        StateAdapter = settings.TryGet(HarnessSettings.Adapter, out var adapter) ? OptionKey.NameOf(adapter.ToString()) : null,
        CheckpointInterval = TimeSpan.FromSeconds(settings.Get(HarnessSettings.CheckpointInterval)),
        StateRequired = settings.Get(HarnessSettings.StateRequired),
        RedisUrl = settings.TryGet(HarnessSettings.RedisUrl, out var url) ? url : null,
        StateTtl = settings.TryGet(HarnessSettings.StateTtl, out var ttl) ? ttl : null,
        StateKeep = (int)settings.Get(HarnessSettings.StateKeep),
    };
}
