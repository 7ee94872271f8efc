using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Harness.Streams;

namespace Loom.Harness.Benchmarks;

/// <summary>What a system costs while it does nothing, and to get there.</summary>
internal static class FootprintRows
{
    private const string IdleBytes = "idle stream, bytes";
    private const string UsedBytes = "stream that was full once and is idle, bytes";
    private const string FullBytes = "full stream of 1,000, bytes without payloads";
    private const string SetUp = "set-up of 1,000 components and 2,000 streams, ms";
    private const string IdleCpu = "twelve components that wait, % of a core";
    private const int Streams = 500;
    private const int Components = 1000;

    // What ran before is still being compiled anew in the background.
    private static readonly TimeSpan s_settles = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_watched = TimeSpan.FromSeconds(3);

    public static BenchRow Memory(TimeProvider time) => new FiguresRow(
        "memory",
        "memory of streams, set-up and rest of systems",
        [
            new Subject(OurSystems.Items, async ct => [.. MemoryOf(time), new Figure(SetUp, await SetUpAsync(time, ct).ConfigureAwait(false)), new Figure(IdleCpu, await RestAsync(time, ct).ConfigureAwait(false))]),
        ],
        [
            new Limit(OurSystems.Items, IdleBytes, 4096), new Limit(OurSystems.Items, UsedBytes, 4096), new Limit(OurSystems.Items, FullBytes, 65_536),
            new Limit(OurSystems.Items, SetUp, 2000), new Limit(OurSystems.Items, IdleCpu, 0.5),
        ]);

    private static Figure[] MemoryOf(TimeProvider time)
    {
        var empty = GC.GetTotalMemory(forceFullCollection: true);
        EventStream<string>[] streams = [.. Enumerable.Range(0, Streams).Select(_ => new EventStream<string>(s_plan, new Signal(), new Signal(), time))];
        var idle = GC.GetTotalMemory(forceFullCollection: true) - empty;
        foreach (var stream in streams)
        {
            for (var i = 0; stream.TryWrite(new Event<string>(EventId.Root("s:0", i), "x")); i++)
            {
            }

            stream.Flush();
        }

        var full = GC.GetTotalMemory(forceFullCollection: true) - empty;
        foreach (var stream in streams)
        {
            while (stream.TryRead(out _))
            {
            }

            stream.Reader.Arm();
            stream.BeforeWait(1);
            stream.Reader.Disarm();
        }

        SegmentPool<string>.Trim();
        var used = GC.GetTotalMemory(forceFullCollection: true) - empty;
        GC.KeepAlive(streams);
        return [new Figure(IdleBytes, (double)idle / Streams), new Figure(UsedBytes, (double)used / Streams), new Figure(FullBytes, (double)full / Streams)];
    }

    private static readonly BindingPlan s_plan = new() { Name = "a.out->b.in", FromComponent = "a", FromPort = "out", ToComponent = "b", ToPort = "in", Buffer = 1000 };

    // Each component feeds the two after it; no event flows.
    private static async Task<double> SetUpAsync(TimeProvider time, CancellationToken ct)
    {
        var start = time.GetTimestamp();
        var builder = new HarnessBuilder("wide").Add("c0", static () => new Nothing());
        for (var i = 1; i < Components; i++)
        {
            builder.Add($"c{i}", static () => new Forward());
            builder.Bind(i == 1 ? "c0.out" : $"c{i - 1}.out", $"c{i}.in");
            if (i > 1)
            {
                builder.Bind($"c{i - 2}.out", $"c{i}.in");
            }
        }

        var took = TimeSpan.Zero;
        using var assembly = BenchSystem.Assemble(builder.Plan(Path.GetTempPath()), builder.Create, time);
        assembly.Run.Started = () => took = time.GetElapsedTime(start);
        await BenchSystem.RunAsync(assembly, time, ct).ConfigureAwait(false);
        return took.TotalMilliseconds;
    }

    private static async Task<double> RestAsync(TimeProvider time, CancellationToken ct)
    {
        var builder = new HarnessBuilder("rest").Add("c0", static () => new Waiting());
        for (var i = 1; i < 12; i++)
        {
            builder.Add($"c{i}", static () => new Forward()).Bind($"c{i - 1}.out", $"c{i}.in");
        }

        using var assembly = BenchSystem.Assemble(builder.Plan(Path.GetTempPath()), builder.Create, time);
        using var stop = new CancellationTokenSource();
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        assembly.Run.Started = started.SetResult;
        var running = assembly.Run.RunAsync(new RunTokens(stop.Token, ct));
        await started.Task.WaitAsync(ct).ConfigureAwait(false);
        await Task.Delay(s_settles, time, ct).ConfigureAwait(false);
        var before = Environment.CpuUsage.TotalTime;
        await Task.Delay(s_watched, time, ct).ConfigureAwait(false);
        var used = Environment.CpuUsage.TotalTime - before;
        await stop.CancelAsync().ConfigureAwait(false);
        await running.ConfigureAwait(false);
        return 100 * used / s_watched;
    }

    private sealed class Nothing : Source<long>
    {
        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) => new(Read<long>.End);
    }

    private sealed class Waiting : Source<long>
    {
        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var registration = stopping.UnsafeRegister(static s => ((TaskCompletionSource)s!).TrySetResult(), stopped);
            await stopped.Task.WaitAsync(ct).ConfigureAwait(true);
            return Read<long>.End;
        }
    }

    private sealed class Forward : Transformer<long, long>
    {
        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => output.SendAsync(e, ct);
    }
}
