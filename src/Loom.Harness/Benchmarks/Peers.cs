using System.Globalization;
using System.Threading.Channels;
using System.Threading.Tasks.Dataflow;
using Loom.Processes;

namespace Loom.Harness.Benchmarks;

/// <summary>What Loom's streams are measured against: bounded channels, TPL Dataflow, and anyio's memory streams, which the source text names.</summary>
internal static class Peers
{
    public const string Channels = "channels";
    public const string ChannelArrays = "channels of ready-made arrays";
    public const string Dataflow = "TPL Dataflow";
    public const string Anyio = "anyio";

    private const int Buffer = 1000;

    /// <summary>Items through <paramref name="hops"/> bounded channels, one after the other; stages between them do nothing.</summary>
    public static Contender OfChannels(long items, int hops, TimeProvider time) => new(Channels, items, async ct =>
    {
        var start = time.GetTimestamp();
        var channels = Enumerable.Range(0, hops).Select(_ => Channel.CreateBounded<long>(new BoundedChannelOptions(Buffer) { SingleReader = true, SingleWriter = true })).ToArray();
        var stages = new List<Task> { Task.Run(() => WriteAsync(channels[0].Writer, items, ct), ct) };
        for (var i = 1; i < hops; i++)
        {
            var (from, to) = (channels[i - 1].Reader, channels[i].Writer);
            stages.Add(Task.Run(() => PassAsync(from, to, ct), ct));
        }

        stages.Add(Task.Run(() => CountAsync(channels[^1].Reader, items, ct), ct));
        await Task.WhenAll(stages).ConfigureAwait(false);
        return time.GetElapsedTime(start);
    });

    /// <summary>The same with arrays of 64 that were made before the clock starts.</summary>
    public static Contender OfArrays(long items, int hops, TimeProvider time)
    {
        var array = Enumerable.Range(0, 64).Select(n => (long)n).ToArray();
        return new Contender(ChannelArrays, items, async ct =>
        {
            var start = time.GetTimestamp();
            var channels = Enumerable.Range(0, hops).Select(_ => Channel.CreateBounded<long[]>(new BoundedChannelOptions(Buffer / 64) { SingleReader = true, SingleWriter = true })).ToArray();
            var stages = new List<Task>
            {
                Task.Run(
                    async () =>
                    {
                        for (var i = 0L; i < items; i += array.Length)
                        {
                            await channels[0].Writer.WriteAsync(array, ct).ConfigureAwait(false);
                        }

                        channels[0].Writer.Complete();
                    },
                    ct),
            };
            for (var i = 1; i < hops; i++)
            {
                var (from, to) = (channels[i - 1].Reader, channels[i].Writer);
                stages.Add(Task.Run(() => PassAsync(from, to, ct), ct));
            }

            stages.Add(Task.Run(
                async () =>
                {
                    var sum = 0L;
                    await foreach (var batch in channels[^1].Reader.ReadAllAsync(ct).ConfigureAwait(false))
                    {
                        sum += batch.Length;
                    }

                    return sum;
                },
                ct));
            await Task.WhenAll(stages).ConfigureAwait(false);
            return time.GetElapsedTime(start);
        });
    }

    /// <summary>Items through blocks of TPL Dataflow, each with a bound of 1,000.</summary>
    public static Contender OfDataflow(long items, int hops, TimeProvider time) => new(Dataflow, items, async ct =>
    {
        var start = time.GetTimestamp();
        var options = new ExecutionDataflowBlockOptions { BoundedCapacity = Buffer, SingleProducerConstrained = true, CancellationToken = ct };
        var count = 0L;
        var last = new ActionBlock<long>(_ => count++, options);
        ITargetBlock<long> head = last;
        for (var i = 1; i < hops; i++)
        {
            var block = new TransformBlock<long, long>(static n => n, options);
            block.LinkTo(head, new DataflowLinkOptions { PropagateCompletion = true });
            head = block;
        }

        for (var i = 0L; i < items; i++)
        {
            if (!head.Post(i))
            {
                await head.SendAsync(i, ct).ConfigureAwait(false);
            }
        }

        head.Complete();
        await last.Completion.ConfigureAwait(false);
        return time.GetElapsedTime(start);
    });

    /// <summary>Items through anyio memory streams of 1,000, timed by Python itself.</summary>
    public static Contender OfAnyio(long items, int hops, string folder, ISupervisor supervisor) =>
        new(Anyio, items, ct => AnyioPeer.RunAsync(items, hops, folder, supervisor, ct));

    private static async Task WriteAsync(ChannelWriter<long> writer, long items, CancellationToken ct)
    {
        for (var i = 0L; i < items; i++)
        {
            await writer.WriteAsync(i, ct).ConfigureAwait(false);
        }

        writer.Complete();
    }

    private static async Task PassAsync<T>(ChannelReader<T> from, ChannelWriter<T> to, CancellationToken ct)
    {
        await foreach (var item in from.ReadAllAsync(ct).ConfigureAwait(false))
        {
            await to.WriteAsync(item, ct).ConfigureAwait(false);
        }

        to.Complete();
    }

    private static async Task CountAsync(ChannelReader<long> from, long items, CancellationToken ct)
    {
        var count = 0L;
        await foreach (var _ in from.ReadAllAsync(ct).ConfigureAwait(false))
        {
            count++;
        }

        if (count != items)
        {
            throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{count} of {items} items arrived"));
        }
    }
}
