using System.Diagnostics;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Wire;

namespace Loom.Load;

/// <summary>Decisions without a network: placement over many replicas, and the waiting queue at two depths beside the framework's own queue.</summary>
internal sealed class Micro(int rounds, Report report)
{
    private static readonly TimeSpan s_length = TimeSpan.FromSeconds(0.4);

    public void Run()
    {
        Placement();
        Queue();
    }

    private void Placement()
    {
        foreach (var (replicas, title) in new[] { (64, "64 replicas of 8 slots, half of them leased"), (40_000, "40,000 replicas of 8 slots") })
        {
            var contenders = new Dictionary<string, Func<double>>(StringComparer.Ordinal);
            foreach (var kind in new[] { PlacementKind.Random, PlacementKind.RoundRobin, PlacementKind.LeastLoaded })
            {
                var strategy = PlacementStrategies.Create(kind, new Random(1));
                contenders[strategy.Name] = Decisions(strategy, replicas);
            }

            Table("Placement decisions a second, " + title, "random", contenders);
        }
    }

    // Lease and release through the admission desk: filter, strategy, lease.
    private static Func<double> Decisions(IPlacementStrategy strategy, int replicas)
    {
        const int InFlight = 256;
        var table = new ReplicaTable();
        var desk = new AdmissionDesk(new AdmissionOptions(), strategy, TimeProvider.System, new Random(1));
        table.Changed += desk.Apply;
        table.Publish([.. Enumerable.Range(0, replicas).Select(i => new ReplicaStatus
        {
            Id = new ReplicaId($"node{i / 4}", "default", $"r{i % 4}"), State = ReplicaState.Ready, EngineKind = "mock", Model = "demo", Models = ["demo"], SlotsTotal = 8,
            Url = $"http://127.0.0.1:{20_000 + i}/v1",
        })]);
        table.Current.TryResolve("demo", out var route);
        var tickets = Enumerable.Range(0, InFlight).Select(_ => new Ticket()).ToArray();
        var turn = 0;
        return () => PerSecond(() =>
        {
            var ticket = tickets[turn++ % InFlight];
            desk.Release(ticket, measured: false);
            ticket.Reset(route!, QueueClass.Interactive, null, 0);
            if (desk.Enter(ticket) != Admittance.Granted)
            {
                throw new InvalidOperationException("a free slot was refused");
            }
        });
    }

    private void Queue()
    {
        foreach (var (title, run) in new (string, Func<int, Func<double>>)[] { ("enqueue + dequeue", TurnOver), ("cancel + enqueue", Cancel), ("position", Position) })
        {
            var contenders = new Dictionary<string, Func<double>>(StringComparer.Ordinal) { ["depth 100"] = run(100), ["depth 10,000"] = run(10_000) };
            if (title == "enqueue + dequeue")
            {
                contenders["framework queue under a lock, depth 10,000"] = Framework(10_000);
            }

            Table($"Waiting queue, {title}: operations a second", "depth 100", contenders);
        }
    }

    private static (TwoClassQueue<int> Queue, List<QueueEntry<int>> Entries) Filled(int depth)
    {
        var queue = new TwoClassQueue<int>(20_000, OverflowPolicy.RejectNew, 0);
        var entries = new List<QueueEntry<int>>();
        for (var i = 0; i < depth; i++)
        {
            queue.Enqueue(i, i % 2 == 0 ? QueueClass.Interactive : QueueClass.Batch, queue.TakeRank(), 0, out var entry, out _);
            entries.Add(entry!);
        }

        return (queue, entries);
    }

    private static Func<double> TurnOver(int depth)
    {
        var (queue, _) = Filled(depth);
        var gate = new Lock();
        var i = 0;
        return () => PerSecond(() =>
        {
            lock (gate)
            {
                queue.Enqueue(i, i++ % 2 == 0 ? QueueClass.Interactive : QueueClass.Batch, queue.TakeRank(), 0, out _, out _);
                queue.TryTake(0, 0, static (_, _) => true);
            }
        });
    }

    private static Func<double> Cancel(int depth)
    {
        var (queue, entries) = Filled(depth);
        var random = new Random(1);
        return () => PerSecond(() =>
        {
            var at = random.Next(entries.Count);
            queue.Remove(entries[at]);
            queue.Enqueue(at, at % 2 == 0 ? QueueClass.Interactive : QueueClass.Batch, queue.TakeRank(), 0, out var entry, out _);
            entries[at] = entry!;
        });
    }

    private static Func<double> Position(int depth)
    {
        var (queue, entries) = Filled(depth);
        var random = new Random(1);
        return () => PerSecond(() =>
        {
            if (queue.PositionOf(entries[random.Next(entries.Count)]) < 0)
            {
                throw new InvalidOperationException("a waiting entry has no position");
            }
        });
    }

    private static Func<double> Framework(int depth)
    {
        var queue = new PriorityQueue<int, (int Class, long Rank)>();
        var gate = new Lock();
        long rank = 0;
        for (; rank < depth; rank++)
        {
            queue.Enqueue(0, ((int)(rank % 2), rank));
        }

        return () => PerSecond(() =>
        {
            lock (gate)
            {
                queue.Enqueue(0, ((int)(rank % 2), rank++));
                queue.Dequeue();
            }
        });
    }

    private void Table(string title, string to, Dictionary<string, Func<double>> contenders)
    {
        var rates = contenders.Keys.ToDictionary(k => k, _ => new List<double>(), StringComparer.Ordinal);
        for (var round = -1; round < rounds; round++)
        {
            foreach (var (name, run) in contenders)
            {
                var rate = run();
                if (round >= 0)
                {
                    rates[name].Add(rate);
                }
            }
        }

        report.Rates(title, to, rates);
    }

    private static double PerSecond(Action once)
    {
        const int Batch = 1000;
        var clock = Stopwatch.StartNew();
        long done = 0;
        while (clock.Elapsed < s_length)
        {
            for (var i = 0; i < Batch; i++)
            {
                once();
            }

            done += Batch;
        }

        return done / clock.Elapsed.TotalSeconds;
    }
}
