using Loom.Processes;

namespace Loom.Harness.Benchmarks;

/// <summary>The rows of section 16 of the specification and how they are judged.</summary>
internal static class BenchRows
{
    private const long Many = 4_000_000;
    private const long Few = 20_000;

    /// <param name="time">Clock.</param>
    /// <param name="folder">Where Python runs and its log goes.</param>
    /// <param name="supervisor">Who starts programs of other languages.</param>
    /// <param name="hasAnyio">Whether Python has anyio here.</param>
    public static IReadOnlyList<BenchRow> All(TimeProvider time, string folder, ISupervisor supervisor, bool hasAnyio)
    {
        Contender[] Anyio(int hops) => hasAnyio ? [Peers.OfAnyio(Few, hops, folder, supervisor)] : [];
        return
        [
            new ThroughputRow(
                "hop",
                "one hop, item by item",
                [OurSystems.Line(Many, 1, time), Peers.OfChannels(Many, 1, time), Peers.OfDataflow(Many / 4, 1, time), .. Anyio(1)],
                [new BenchTarget(Peers.Channels, 3), new BenchTarget(Peers.Dataflow, 3), new BenchTarget(Peers.Anyio, 50)]),
            new ThroughputRow(
                "hops",
                "four hops, item by item",
                [OurSystems.Line(Many, 4, time), Peers.OfChannels(Many, 4, time), Peers.OfDataflow(Many / 4, 4, time), .. Anyio(4)],
                [new BenchTarget(Peers.Channels, 1), new BenchTarget(Peers.Anyio, 100)]),
            new ThroughputRow(
                "batched-hops",
                "four hops in batches of 64",
                [OurSystems.Line(Many, 4, time, OurSystems.InBatches), Peers.OfArrays(16 * Many, 4, time)],
                [new BenchTarget(Peers.ChannelArrays, 0.2), new BenchTarget(null, 20_000_000)]),
            new ThroughputRow(
                "chain",
                "five components with a chain of seven each, item by item",
                [OurSystems.Line(Many / 2, 5, time, OurSystems.WithChain), Peers.OfChannels(Many / 2, 5, time), Peers.OfDataflow(Many / 8, 5, time)],
                [new BenchTarget(Peers.Channels, 0.5), new BenchTarget(Peers.Dataflow, 1.5), new BenchTarget(null, 2_000_000)]),
            new ThroughputRow(
                "batched-chain",
                "five components with a chain of seven each, in batches of 64",
                [OurSystems.Line(Many / 2, 5, time, p => OurSystems.InBatches(OurSystems.WithChain(p))), Peers.OfChannels(Many / 2, 5, time)],
                [new BenchTarget(Peers.Channels, 2), new BenchTarget(null, 10_000_000)]),
            LatencyRows.Idle(time),
            LatencyRows.AtPace(time),
            FootprintRows.Memory(time),
            CheckpointRows.Row(time, folder),
            TapRow.Row(time),
            CommandRow.Row(time, folder, supervisor),
        ];
    }
}
