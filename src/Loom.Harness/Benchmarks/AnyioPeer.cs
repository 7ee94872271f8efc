using System.Collections;
using System.Collections.Immutable;
using System.Globalization;
using Loom.Processes;

namespace Loom.Harness.Benchmarks;

/// <summary>The peer the source text names, in a Python of its own; it takes its own time, so that starting Python counts for nothing.</summary>
internal static class AnyioPeer
{
    // Debian puts its packages beside its own Python, whatever else is first on the path.
    private static readonly string Python = File.Exists("/usr/bin/python3") ? "/usr/bin/python3" : "python3";

    private const string Script = """
        import sys, time, anyio
        items, hops = int(sys.argv[1]), int(sys.argv[2])
        async def write(out):
            async with out:
                for n in range(items):
                    await out.send(n)
        async def forward(source, out):
            async with source, out:
                async for n in source:
                    await out.send(n)
        async def count(source):
            async with source:
                async for _ in source:
                    pass
        async def main():
            streams = [anyio.create_memory_object_stream(1000) for _ in range(hops)]
            start = time.perf_counter()
            async with anyio.create_task_group() as group:
                group.start_soon(write, streams[0][0])
                for a, b in zip(streams, streams[1:]):
                    group.start_soon(forward, a[1], b[0])
                group.start_soon(count, streams[-1][1])
            print("took", time.perf_counter() - start)
        anyio.run(main)
        """;

    /// <summary>Whether Python has anyio here.</summary>
    public static async Task<bool> IsThereAsync(string folder, ISupervisor supervisor, CancellationToken ct)
    {
        var (end, _) = await supervisor.RunToEndAsync(Plan("anyio-there", folder, [Python, "-c", "import anyio"]), ct).ConfigureAwait(false);
        return end.LastExit is { Code: 0 };
    }

    /// <exception cref="InvalidOperationException">It failed; the message holds what it said.</exception>
    public static async Task<TimeSpan> RunAsync(long items, int hops, string folder, ISupervisor supervisor, CancellationToken ct)
    {
        var command = ImmutableArray.Create(Python, "-c", Script, items.ToString(CultureInfo.InvariantCulture), hops.ToString(CultureInfo.InvariantCulture));
        var (_, tail) = await supervisor.RunToEndAsync(Plan("anyio", folder, command), ct).ConfigureAwait(false);
        var took = tail.FirstOrDefault(l => l.StartsWith("took ", StringComparison.Ordinal));
        return took is not null && double.TryParse(took.AsSpan(5), NumberStyles.Float, CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(seconds)
            : throw new InvalidOperationException($"anyio gave no time: {string.Join(" / ", tail)}");
    }

    private static ProcessPlan Plan(string name, string folder, ImmutableArray<string> command) => new()
    {
        Name = name,
        Kind = ProcessKind.Job,
        Command = command,
        WorkingDirectory = folder,
        Environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToImmutableDictionary(e => (string)e.Key, e => (string?)e.Value ?? "", StringComparer.Ordinal),
        Restart = RestartPolicy.Never,
        LogPath = Path.Combine(folder, $"{name}.log"),
    };
}
