using Loom.Processes;

namespace Loom.Harness.Benchmarks;

/// <summary>The rows of section 16 of the specification that run in this process.</summary>
internal static class BenchRows
{
    private const long Many = 4_000_000;
    private const long Few = 20_000;

    /// <param name="time">Clock.</param>
    /// <param name="folder">Where Python runs and its log goes.</param>
    /// <param name="anyio">Who starts Python; null where there is no anyio.</param>
    public static IReadOnlyList<BenchRow> All(TimeProvider time, string folder, ISupervisor? anyio)
    {
        Contender[] Anyio(int hops) => anyio is null ? [] : [Peers.OfAnyio(Few, hops, folder, anyio)];
        return
        [
            new BenchRow(
                "hop",
                "one hop, item by item",
                [OurSystems.Line(Many, 1, time), Peers.OfChannels(Many, 1, time), Peers.OfDataflow(Many / 4, 1, time), .. Anyio(1)],
                [new BenchTarget(Peers.Channels, 3), new BenchTarget(Peers.Dataflow, 3), new BenchTarget(Peers.Anyio, 50)]),
            new BenchRow(
                "hops",
                "four hops, item by item",
                [OurSystems.Line(Many, 4, time), Peers.OfChannels(Many, 4, time), Peers.OfDataflow(Many / 4, 4, time), .. Anyio(4)],
                [new BenchTarget(Peers.Channels, 1), new BenchTarget(Peers.Anyio, 100)]),
            new BenchRow(
                "batched-hops",
                "four hops in batches of 64",
                [OurSystems.Line(Many, 4, time, OurSystems.InBatches), Peers.OfArrays(16 * Many, 4, time)],
                [new BenchTarget(Peers.ChannelArrays, 0.2), new BenchTarget(null, 20_000_000)]),
            new BenchRow(
                "chain",
                "five components with a chain of seven each, item by item",
                [OurSystems.Line(Many / 2, 5, time, OurSystems.WithChain), Peers.OfChannels(Many / 2, 5, time), Peers.OfDataflow(Many / 8, 5, time)],
                [new BenchTarget(Peers.Channels, 0.5), new BenchTarget(Peers.Dataflow, 1.5), new BenchTarget(null, 2_000_000)]),
            new BenchRow(
                "batched-chain",
                "five components with a chain of seven each, in batches of 64",
                [OurSystems.Line(Many / 2, 5, time, p => OurSystems.InBatches(OurSystems.WithChain(p))), Peers.OfChannels(Many / 2, 5, time)],
                [new BenchTarget(Peers.Channels, 2), new BenchTarget(null, 10_000_000)]),
        ];
    }
}
