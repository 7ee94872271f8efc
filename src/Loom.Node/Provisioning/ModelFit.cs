using System.Globalization;
using Loom.Node.Gguf;

namespace Loom.Node.Provisioning;

/// <summary>What a model will take, estimated from its header before anything is loaded.</summary>
/// <param name="Weights">Bytes of its tensors.</param>
/// <param name="Context">Bytes of the key-value cache of all slots.</param>
public sealed record ModelFit(long Weights, long Context)
{
    /// <summary>Room for the engine itself: its program, its buffers.</summary>
    public const long EngineBytes = 512L << 20;

    /// <summary>What the same model, context and build took when it last ran here; null = it never did.</summary>
    public long? Measured { get; init; }

    /// <summary>What counts: what was measured in place of the room for the engine. The context's memory is only taken as it fills, so less than weights and
    /// context together is never believed.</summary>
    public long Total => Measured is { } seen ? Math.Max(seen, Weights + Context) : Weights + Context + EngineBytes;

    /// <summary>The part beside weights and context, in words.</summary>
    public string EngineInWords => Measured is { } seen ? $"{Size(seen)} measured when it last ran here" : $"{Size(EngineBytes)} for the engine";

    /// <summary>The estimate for so many slots of so many tokens.</summary>
    public static ModelFit Of(GgufModel model, int ctx, int slots) => new(model.WeightBytes, model.KvBytes(ctx, slots));

    /// <summary>Null when it fits into so much free memory, else why not and what to do.</summary>
    public string? Trouble(string model, string pool, int ctx, int slots, long freeBytes) => Total <= freeBytes
        ? null
        : $"model '{model}' needs {Size(Total)} ({Size(Weights)} of weights, {Size(Context)} for {slots} x {ctx} tokens, "
            + $"{EngineInWords}), {Size(freeBytes)} are free; "
            + $"lower ctx or slots of [serving.pools.{pool}], choose a smaller model, or free memory";

    private static string Size(long bytes) => ByteSize.Text(bytes);
}

/// <summary>Free memory, as far as this process may use it.</summary>
public static class FreeMemory
{
    /// <summary>Bytes that can still be taken without swapping: the machine's, or what the cgroup leaves when that is less.</summary>
    public static long OfThisMachine() => Probe(path => File.Exists(path) ? File.ReadAllText(path) : null);

    /// <summary>The same out of the files <paramref name="read"/> gives; pure over it. The largest number when the machine does not say.</summary>
    internal static long Probe(Func<string, string?> read)
    {
        var machine = Field(read("/proc/meminfo"), "MemAvailable:") is { } kib ? kib * 1024 : long.MaxValue;
        var cgroup = Group(read, "memory.max", "memory.current") ?? GroupV1(read) ?? long.MaxValue;
        return Math.Min(machine, cgroup);
    }

    private static long? Group(Func<string, string?> read, string limit, string used)
    {
        var own = (read("/proc/self/cgroup") ?? "").Split('\n').Select(l => l.Split(':', 3)).FirstOrDefault(p => p is ["0", "", _])?[2].Trim() ?? "/";
        long? least = null;
        for (var folder = own.TrimEnd('/'); ; folder = folder.Contains('/') ? folder[..folder.LastIndexOf('/')] : "")
        {
            if (Number(read($"/sys/fs/cgroup{folder}/{limit}")) is { } max && Number(read($"/sys/fs/cgroup{folder}/{used}")) is { } now)
            {
                // File pages count as used but are given back on demand.
                var free = Math.Max(0, max - now + (Field(read($"/sys/fs/cgroup{folder}/memory.stat"), "inactive_file") ?? 0));
                least = least is { } l ? Math.Min(l, free) : free;
            }

            if (folder.Length == 0)
            {
                return least;
            }
        }
    }

    private static long? GroupV1(Func<string, string?> read) =>
        Number(read("/sys/fs/cgroup/memory/memory.limit_in_bytes")) is { } max && max < long.MaxValue / 2
            && Number(read("/sys/fs/cgroup/memory/memory.usage_in_bytes")) is { } now
            ? Math.Max(0, max - now + (Field(read("/sys/fs/cgroup/memory/memory.stat"), "total_inactive_file") ?? 0))
            : null;

    private static long? Number(string? text) => long.TryParse(text?.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static long? Field(string? text, string name) => (text ?? "").Split('\n')
        .Select(l => l.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Where(p => p.Length >= 2 && p[0] == name)
        .Select(p => Number(p[1]))
        .FirstOrDefault();
}
