using Loom.Harness.Architecture;
using Loom.Harness.Execution;
using Loom.Harness.Streams;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// Every distribution and every fan-in in graphs drawn at random, while checkpoints pass through: what was sent arrives by the rule of its port, once on each stream it belongs
/// to, in the order it was sent; and the harness's own account says the same.
/// </summary>
public sealed class RandomGraphDrills
{
    [Fact]
    public async Task Graphs_OfEveryRule_ConserveAndKeepOrder()
    {
        var (graphs, done, events, checkpoints, givenUp, first) = (Drill.Count(60, 2_000), 0, 0L, 0L, 0L, Environment.TickCount & 0xffffff);
        var rules = new Dictionary<string, int>();
        try
        {
            for (; done < graphs; done++)
            {
                var graph = new RandomGraph(first + done);
                var around = new CodedSurroundings { State = CodedSurroundings.Adapter("inmem_ephemeral"), Interval = TimeSpan.FromTicks(1) };
                await using var run = await CodedRun.LoadAsync(graph.Build(), around);
                (await run.RunAsync()).ExitCode.ShouldBe(RunResult.Ended, $"seed {first + done}");
                Judge(graph, run, $"seed {first + done}");
                events += graph.Nodes.Sum(n => n.Sent.Count);
                (checkpoints, givenUp) = (checkpoints + run.Checkpoints.Taken, givenUp + run.Checkpoints.Failed);
                foreach (var node in graph.Nodes)
                {
                    Count(rules, graph.OutOf(node).Count > 1 ? $"{node.Distribution}{(node is { Distribution: Distribution.Conditional, MatchAll: true } ? " all" : "")}" : null);
                    Count(rules, graph.Into(node).Count > 1 ? $"{node.FanIn}" : null);
                }
            }
        }
        finally
        {
            Drill.Report("distribution and fan-in in random graphs", done, graphs, $"{events} events, {checkpoints} checkpoints and {givenUp} given up, {string.Join(", ", rules.OrderBy(r => r.Key).Select(r => $"{r.Key} {r.Value}"))}; first seed {first}");
        }

        rules.Count.ShouldBe(9, "every rule has had its turn");
    }

    private static void Count(Dictionary<string, int> rules, string? rule)
    {
        if (rule is not null)
        {
            rules[rule] = rules.GetValueOrDefault(rule) + 1;
        }
    }

    private static void Judge(RandomGraph graph, CodedRun run, string seed)
    {
        var snapshot = RunSnapshot.Of(run.Assembly);
        var refused = run.Failures.Select(f => (f.Component, f.Error.Message)).ToLookup(f => f.Component);
        run.Failures.ShouldAllBe(f => f.Error.Message.StartsWith("no condition took the event", StringComparison.Ordinal));
        foreach (var stream in snapshot.Streams)
        {
            (stream.Depth, stream.In).ShouldBe((0, stream.Out), $"{seed} {stream.Name}");
        }

        foreach (var node in graph.Nodes)
        {
            var belongs = Belongs(node, graph.OutOf(node));
            foreach (var (binding, expected) in belongs)
            {
                var reader = graph.Nodes.Single(n => n.Name == binding.ToComponent);
                var arrived = reader.Took.Where(t => t.Data / RandomGraph.Step == node.Number).Select(t => t.Data).ToList();
                var where = $"{seed} {binding.Name}, {node.Distribution}{(node.MatchAll ? " all" : "")} to {reader.FanIn}, beside {string.Join(", ", graph.OutOf(node).Select(b => $"{b.ToComponent} {b.Condition} {b.Weight}"))}";
                snapshot.Streams.Single(s => s.Name == binding.Name).In.ShouldBe(expected.Count, where);
                if (reader.FanIn == FanIn.FirstWins)
                {
                    arrived.ShouldBe(expected.Where(arrived.ToHashSet().Contains), where);
                }
                else
                {
                    arrived.ShouldBe(expected, where);
                }
            }

            var account = snapshot.Components.Single(c => c.Name == node.Name);
            account.Failed.ShouldBe(refused[node.Name].Count());
            account.Failed.ShouldBe(Unrouted(node, graph.OutOf(node), belongs), $"{seed} {node.Name}");
            account.Taken.ShouldBe(node.Items ?? node.Took.Count);
            account.InHand.ShouldBe(0);
            var offered = graph.Into(node).Select(b => graph.Nodes.Single(n => n.Name == b.FromComponent)).SelectMany(n => Belongs(n, graph.OutOf(n)).Single(b => b.Binding.ToComponent == node.Name).Events.Select(d => (Data: d, n.Sent[(int)(d % RandomGraph.Step)].Key))).ToList();
            JudgeFanIn(graph, node, offered, seed);
            (offered.Count - account.Superseded).ShouldBe(node.Items is null ? account.Taken : 0, $"{seed} {node.Name}: offered = taken + superseded");
        }
    }

    private static void JudgeFanIn(RandomGraph graph, RandomGraph.Node node, List<(long Data, string Key)> offered, string seed)
    {
        switch (node.FanIn)
        {
            case FanIn.FirstWins:
                // One of each correlation id, and the first of them in its own stream.
                node.Took.Select(t => t.Key).ShouldBeUnique();
                node.Took.Select(t => t.Key).ShouldBe(offered.Select(o => o.Key).Distinct(), ignoreOrder: true, seed);
                var firsts = offered.GroupBy(o => (o.Key, o.Data / RandomGraph.Step)).Select(g => g.Min(o => o.Data)).ToHashSet();
                node.Took.ShouldAllBe(t => firsts.Contains(t.Data));
                break;
            case FanIn.Concatenate:
                var order = graph.Into(node).Select(b => long.Parse(b.FromComponent[1..])).ToList();
                var turns = node.Took.Select(t => order.IndexOf(t.Data / RandomGraph.Step)).ToList();
                turns.SequenceEqual(turns.Order()).ShouldBeTrue($"{seed} {node.Name} concatenates {string.Join(' ', order)}");
                break;
        }
    }

    // What must go to each binding, by the rule of the port, from what was sent.
    private static List<(BindingPlan Binding, List<long> Events)> Belongs(RandomGraph.Node node, List<BindingPlan> bindings)
    {
        var to = bindings.Select(b => (b, new List<long>())).ToList();
        var current = new int[bindings.Count];
        foreach (var (data, key) in node.Sent)
        {
            foreach (var i in Choose(node, bindings, current, data, key))
            {
                to[i].Item2.Add(data);
            }
        }

        return to;
    }

    private static int[] Choose(RandomGraph.Node node, List<BindingPlan> bindings, int[] current, long data, string key)
    {
        var all = Enumerable.Range(0, bindings.Count).ToArray();
        if (bindings.Count == 0 || node.Distribution == Distribution.Broadcast)
        {
            return all;
        }

        switch (node.Distribution)
        {
            case Distribution.PartitionHash:
                return [HashRoute<long>.PartitionOf($"\"{key}\"", bindings.Count)];
            case Distribution.Weighted:
                foreach (var i in all)
                {
                    current[i] += bindings[i].Weight;
                }

                var best = all.MaxBy(i => current[i]);
                current[best] -= bindings.Sum(b => b.Weight);
                return [best];
            default:
                var hold = all.Where(i => bindings[i].Condition is { } c && c != "default" && data % (c["data % ".Length] - '0') == 0).ToArray();
                return node.MatchAll && hold.Length > 0 ? hold : [.. hold.Concat(all.Where(i => bindings[i].Condition == "default")).Take(1)];
        }
    }

    private static long Unrouted(RandomGraph.Node node, List<BindingPlan> bindings, List<(BindingPlan Binding, List<long> Events)> belongs) =>
        bindings.Count == 0 ? 0 : node.Sent.Count - belongs.SelectMany(b => b.Events).Distinct().Count();
}
