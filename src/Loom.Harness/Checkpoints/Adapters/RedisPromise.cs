namespace Loom.Harness.Checkpoints.Adapters;

/// <summary>What a Redis itself promises, read from its settings. Pure; null = it does not tell.</summary>
internal sealed record RedisPromise(string? AppendOnly, string? AppendFsync, string? EvictionPolicy)
{
    /// <summary>Nothing is known.</summary>
    public static RedisPromise Unknown { get; } = new(null, null, null);

    /// <summary>The three settings and what they mean, for health.</summary>
    public string Words =>
        $"appendonly {AppendOnly ?? "unknown"}, appendfsync {AppendFsync ?? "unknown"}, maxmemory-policy {EvictionPolicy ?? "unknown"}: {Meaning}";

    /// <summary>Settings below what checkpoints want, each with what it can cost and the setting that mends it.</summary>
    public IReadOnlyList<string> Warnings
    {
        get
        {
            var all = new List<string>();
            if (AppendOnly == "no")
            {
                all.Add("Redis keeps no append-only file: when it is restarted, checkpoints since its last dump are lost, or all of them; set appendonly yes");
            }
            else if (AppendOnly == "yes" && AppendFsync is "everysec" or "no")
            {
                all.Add($"Redis flushes with appendfsync {AppendFsync}: when it or its machine dies, checkpoints of the last seconds can be lost; set appendfsync always");
            }

            if (EvictionPolicy is not (null or "noeviction"))
            {
                all.Add($"Redis may evict checkpoints when its memory is full (maxmemory-policy {EvictionPolicy}); set maxmemory-policy noeviction");
            }

            return all;
        }
    }

    private string Meaning => (AppendOnly, AppendFsync) switch
    {
        ("yes", "always") => "a confirmed checkpoint survives a crash of Redis and of its machine",
        ("yes", "everysec") => "a crash can lose the last seconds",
        ("yes", "no") => "a crash can lose what the machine had not written yet",
        ("no", _) => "a restart of Redis can lose everything since its last dump",
        _ => "what a crash of Redis costs cannot be told from here",
    };
}
