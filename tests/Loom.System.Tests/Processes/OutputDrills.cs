using System.Text;
using Loom.Processes;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Processes;

/// <summary>Children that write what nobody should: without an end, without sense, without a pause.</summary>
[Collection(Alone.Name)]
public sealed class OutputDrills : IAsyncLifetime
{
    // Other tests run in the same process; what is measured is many times more where it is not bounded.
    private const long MostMemory = 100_000_000;

    private readonly DrillBench _bench = new(adoptStrays: false);

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Fact]
    public Task Flood_WithoutALineEnd_StaysBoundedAndIsKeptWhole() => Drill.RunAsync("1 GB without a line end (brief: 200 MB)", 1, 5, async round =>
    {
        long megabytes = Drill.Count(200, 1000);
        var (before, peak) = (Resident(), 0L);
        var plan = _bench.Shell($"flood-{round}", $"head -c {megabytes}M /dev/zero | tr '\\0' x; echo; echo end") with
        {
            Restart = RestartPolicy.Never,
            Log = new LogOptions { MaxBytes = 4_000_000_000, Timestamps = false },
        };
        await _bench.Supervisor.AddAsync(plan, default);
        await Deadline.Until(
            () =>
            {
                peak = Math.Max(peak, Resident());
                return _bench.Supervisor.Tail(plan.Name, 1) is ["end"];
            },
            "the last line",
            TimeSpan.FromMinutes(3));
        (await _bench.Supervisor.WaitAsync(plan.Name, default)).State.ShouldBe(ProcessState.Completed);
        (peak - before).ShouldBeLessThan(MostMemory);
        Count(plan.LogPath, (byte)'x').ShouldBe(megabytes * 1024 * 1024);
        await _bench.Supervisor.RemoveAsync(plan.Name, default);
        File.Delete(plan.LogPath);
    });

    [Fact]
    public Task InvalidUtf8_IsKeptByteForByteAndShownReplaced() => Drill.RunAsync("invalid UTF-8", 1, 5, async round =>
    {
        byte[] line = [0x61, 0xC3, 0x28, 0xFF, 0xFE, 0xED, 0xA0, 0x80, 0xF0, 0x9F, 0x7A];
        var octal = string.Concat(line.Select(b => "\\0" + Convert.ToString(b, 8)));
        var plan = _bench.Shell($"broken-{round}", $"i=0; while [ $i -lt 20000 ]; do printf '%b\\n' '{octal}'; i=$((i+1)); done; echo end") with
        {
            Restart = RestartPolicy.Never,
            Log = new LogOptions { MaxBytes = 1_000_000_000, Timestamps = false },
        };
        await _bench.Supervisor.AddAsync(plan, default);
        (await _bench.Supervisor.WaitAsync(plan.Name, default)).State.ShouldBe(ProcessState.Completed);
        await Deadline.Until(() => _bench.Supervisor.Tail(plan.Name, 1) is ["end"], "the last line");
        var kept = await File.ReadAllBytesAsync(plan.LogPath);
        kept.Length.ShouldBe((20_000 * (line.Length + 1)) + 4);
        kept.AsSpan(0, line.Length).SequenceEqual(line).ShouldBeTrue();
        _bench.Supervisor.Tail(plan.Name, 2)[0].ShouldBe(Encoding.UTF8.GetString(line));
    });

    [Fact]
    public Task Talkers_TwentyAtOnce_EveryLineIsOnDiskOnceAcrossRotations() => Drill.RunAsync("10,000 lines x 20", 1, 5, async round =>
    {
        const int Lines = 10_000;
        var before = Resident();
        var names = Enumerable.Range(0, 20).Select(i => $"talker-{round}-{i}").ToList();
        foreach (var name in names)
        {
            var plan = _bench.Shell(name, $"seq 1 {Lines}") with { Restart = RestartPolicy.Never, Log = new LogOptions { MaxBytes = 50_000, Keep = 50 } };
            await _bench.Supervisor.AddAsync(plan, default);
        }

        foreach (var name in names)
        {
            (await _bench.Supervisor.WaitAsync(name, default)).State.ShouldBe(ProcessState.Completed);
            await Deadline.Until(() => _bench.Supervisor.Tail(name, 1) is [var last] && last == $"{Lines}", "the last line");
        }

        (Resident() - before).ShouldBeLessThan(MostMemory);
        foreach (var name in names)
        {
            await _bench.Supervisor.RemoveAsync(name, default);
            var numbers = Directory.GetFiles(_bench.Folder.Path, $"{name}.log*").SelectMany(File.ReadLines).Select(l => int.Parse(l.Split(' ')[1])).Order().ToList();
            numbers.ShouldBe(Enumerable.Range(1, Lines));
        }
    });

    private static long Resident() => long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * Environment.SystemPageSize;

    private static long Count(string path, byte value)
    {
        using var file = File.OpenRead(path);
        var buffer = new byte[1 << 20];
        var count = 0L;
        while (file.Read(buffer) is > 0 and var read)
        {
            count += buffer.AsSpan(0, read).Count(value);
        }

        return count;
    }
}
