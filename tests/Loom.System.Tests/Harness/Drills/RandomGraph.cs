using Loom.Components;
using Loom.Harness.Architecture;
using Loom.Harness.Execution;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// A graph of up to 20 components drawn at random, every output with a distribution and every input with a fan-in of its own. Each component writes down what it took and
/// what it sent, so that the rules can be judged afterwards without asking the harness. A payload says who sent it and as its how-manieth.
/// </summary>
internal sealed class RandomGraph
{
    /// <summary>Payloads are <c>sender * Step + ordinal</c>.</summary>
    public const long Step = 1_000_000;

    // What a component may come to hold when every path delivers everything.
    private const int MostEvents = 3_000;

    private readonly Random _random;
    private readonly List<int> _most = [];

    public RandomGraph(int seed)
    {
        _random = new Random(seed);
        var size = _random.Next(2, 21);
        for (var i = 0; i < size; i++)
        {
            Nodes.Add(new Node(i));
            var from = i == 0 || (i < size / 3 && _random.Next(3) == 0) ? [] : Producers(i);
            _most.Add(from.Count == 0 ? _random.Next(1, 300) : from.Sum(f => _most[f]));
            Nodes[i].Items = from.Count == 0 ? _most[i] : null;
            Nodes[i].Keys = _random.Next(2) == 0 ? 7 : int.MaxValue;
            Nodes[i].FanIn = (FanIn)_random.Next(4);
            Nodes[i].Batched = _random.Next(4) == 0;
            foreach (var producer in from)
            {
                Bindings.Add(Draw(producer, i));
            }
        }

        foreach (var node in Nodes)
        {
            node.Distribution = (Distribution)_random.Next(4);
            node.MatchAll = _random.Next(2) == 0;
        }
    }

    public List<Node> Nodes { get; } = [];

    public List<BindingPlan> Bindings { get; } = [];

    public HarnessBuilder Build()
    {
        var builder = new HarnessBuilder("graph");
        foreach (var node in Nodes)
        {
            if (node.Items is not null)
            {
                builder.Add(node.Name, () => new From(node), p => p with { Ports = Shape(p.Ports, node) });
            }
            else
            {
                builder.Add(node.Name, () => new Pass(node), p => p with
                {
                    Ports = Shape(p.Ports, node),
                    Batching = node.Batched ? new BatchingPlan { MaxItems = 5, MaxWait = TimeSpan.FromMilliseconds(2) } : null,
                });
            }
        }

        foreach (var binding in Bindings)
        {
            builder.Bind($"{binding.FromComponent}.out", $"{binding.ToComponent}.in", _ => Ruled(binding));
        }

        return builder;
    }

    public List<BindingPlan> Into(Node node) => [.. Bindings.Where(b => b.ToComponent == node.Name)];

    public List<BindingPlan> OutOf(Node node) => [.. Bindings.Where(b => b.FromComponent == node.Name).Select(Ruled)];

    private static List<PortPlan> Shape(IReadOnlyList<PortPlan> ports, Node node) => [.. ports.Select(p => p.Name switch
    {
        "in" => p with { FanIn = node.FanIn },
        "out" => p with { Distribution = node.Distribution, DistributionKey = "key", MatchAll = node.MatchAll },
        _ => p,
    })];

    // Conditions count only where the sender asks for them. Concatenating holds others back until one has ended, so they need room for all they will get.
    private BindingPlan Ruled(BindingPlan binding)
    {
        var sender = Nodes.Single(n => n.Name == binding.FromComponent);
        return binding with { Condition = sender.Distribution == Distribution.Conditional ? binding.Condition : null };
    }

    private List<int> Producers(int of)
    {
        var wanted = Math.Min(of, _random.Next(1, 4));
        var chosen = Enumerable.Range(0, of).OrderBy(_ => _random.Next()).Take(wanted).ToList();
        while (chosen.Count > 1 && chosen.Sum(c => _most[c]) > MostEvents)
        {
            chosen.RemoveAt(chosen.Count - 1);
        }

        return chosen;
    }

    private BindingPlan Draw(int from, int to) => new()
    {
        Name = $"n{from}.out->n{to}.in",
        FromComponent = $"n{from}",
        FromPort = "out",
        ToComponent = $"n{to}",
        ToPort = "in",
        Buffer = Nodes[to].FanIn == FanIn.Concatenate ? 4 * MostEvents : _random.Next(4) switch { 0 => 1, 1 => 7, 2 => 64, _ => 1000 },
        Weight = _random.Next(1, 5),
        Priority = _random.Next(0, 3),
        Condition = _random.Next(4) == 0 ? "default" : $"data % {_random.Next(1, 4)} == 0",
    };

    /// <summary>One component: its rules, and what it did.</summary>
    internal sealed class Node(int number)
    {
        public int Number => number;

        public string Name => $"n{number}";

        /// <summary>For a source: how many; null for others.</summary>
        public int? Items { get; set; }

        /// <summary>For a source: different keys.</summary>
        public int Keys { get; set; }

        public Distribution Distribution { get; set; }

        public bool MatchAll { get; set; }

        public FanIn FanIn { get; set; }

        public bool Batched { get; set; }

        /// <summary>Payloads and keys in the order they came.</summary>
        public List<(long Data, string Key)> Took { get; } = [];

        /// <summary>Payloads and keys in the order they were sent.</summary>
        public List<(long Data, string Key)> Sent { get; } = [];

        public long Next(string key)
        {
            var data = (number * Step) + Sent.Count;
            Sent.Add((data, key));
            return data;
        }
    }

    [Component("graph.from", Type = ComponentType.Source, Replayable = true)]
    private sealed class From(Node node) : Source<long>
    {
        private long _next;

        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            if (_next == node.Items)
            {
                return Read<long>.End;
            }

            if (_next % 20 == 19)
            {
                await Task.Delay(1, ct);
            }

            var key = $"{node.Number}/{_next % node.Keys}";
            return Read<long>.Item(node.Next(key), _next, ++_next) with { Key = key };
        }
    }

    [Component("graph.pass", Type = ComponentType.Transformer)]
    private sealed class Pass(Node node) : Transformer<long, long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => output.SendAsync(e.With(Take(e)), ct);

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            for (var i = 0; i < batch.Count; i++)
            {
                output.Send(i, batch[i].With(Take(batch[i])));
            }

            return default;
        }

        private long Take(Event<long> e)
        {
            node.Took.Add((e.Data, e.Key!));
            return node.Next(e.Key!);
        }
    }
}
