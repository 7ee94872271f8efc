using Loom.Control.Nodes;
using Loom.Testing;
using Loom.Testing.Nodes;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Nodes;

/// <summary>Ten thousand nodes that come and go for a simulated day: the registry says what the rules say, and holds no more at the end than after an hour.</summary>
public sealed class NodeFlapDrills
{
    private const int BeatSecs = 10;
    private const int Seed = 20260101;

    [Fact]
    public void Registry_ADayOfFlapping_IsExactAndHoldsNoMore()
    {
        var nodes = Drill.Count(500, 10_000);
        var hours = Drill.Count(2, 24);
        var world = new RegistryWorld(timeout: 30, interval: 10, forget: 3600);
        var model = new NodeModel(30, 10, 3600);
        var flock = new Flock(nodes, world, model);
        long afterAnHour = 0;
        for (var second = 1; second <= hours * 3600; second++)
        {
            world.Now = second;
            flock.Second(second);
            if (second % 10 == 0)
            {
                world.Check().Lost.Length.ShouldBe(model.Check(second).Count, $"after {second} s");
            }

            if (second % 600 == 0)
            {
                model.Compare(world.Registry).ShouldBeNull($"after {second} s");
            }

            if (second == 3600)
            {
                afterAnHour = GC.GetTotalMemory(forceFullCollection: true);
            }
        }

        var atTheEnd = GC.GetTotalMemory(forceFullCollection: true);
        Drill.Report("node flapping", hours, hours, $"{nodes} nodes, {flock.Beats} beats, {flock.Falls} silences; {afterAnHour >> 20} MiB after an hour, {atTheEnd >> 20} MiB at the end");
        flock.Falls.ShouldBeGreaterThan(nodes / 2);
        atTheEnd.ShouldBeLessThan((afterAnHour * 11 / 10) + (8 << 20));
    }

    /// <summary>The nodes, each with its own fate drawn from one seed.</summary>
    private sealed class Flock
    {
        private readonly RegistryWorld _world;
        private readonly NodeModel _model;
        private readonly Random _random = new(Seed);
        private readonly (string Id, int Start, int SilentUntil, long Seq)[] _nodes;

        public Flock(int count, RegistryWorld world, NodeModel model)
        {
            _world = world;
            _model = model;
            _nodes = [.. Enumerable.Range(0, count).Select(i => ($"n{i:00000}", 0, 0, 0L))];
        }

        public long Beats { get; private set; }

        public int Falls { get; private set; }

        public void Second(int second)
        {
            for (var i = second % BeatSecs; i < _nodes.Length; i += BeatSecs)
            {
                ref var node = ref _nodes[i];
                if (node.SilentUntil > second)
                {
                    continue;
                }

                switch (_random.Next(1000))
                {
                    case < 5:
                        node.SilentUntil = second + _random.Next(20, 200);
                        Falls++;
                        break;
                    case 5:
                        node.Start++;
                        node.Seq = 0;
                        break;
                    case 6:
                        _world.Registry.Refused(node.Id, "refused", _world.Wall);
                        _model.Refuse(node.Id);
                        break;
                    case 7:
                        _world.Register(node.Id, "impostor", "x");
                        _model.Register(node.Id, "impostor", "x", second);
                        break;
                    case 8:
                        _world.Registry.Remove(node.Id);
                        _model.Remove(node.Id);
                        break;
                }

                Beat(ref node, second);
            }
        }

        private void Beat(ref (string Id, int Start, int SilentUntil, long Seq) node, int second)
        {
            var instance = Instance(node.Start);
            var content = _random.Next(50) == 0 ? _random.Next(4) : 1;
            var outcome = _world.Beat(node.Id, ++node.Seq, instance, content, RegistryWorld.Heartbeat(RegistryWorld.Pool(error: null)));
            var expected = _model.Beat(node.Id, instance, node.Seq, second);
            (outcome == BeatOutcome.Unknown).ShouldBe(expected == "unknown");
            Beats++;
            if (outcome == BeatOutcome.Unknown)
            {
                _world.Register(node.Id, "m", instance);
                _model.Register(node.Id, "m", instance, second);
            }
        }

        private static string Instance(int start) => start switch
        {
            0 => "i0",
            1 => "i1",
            2 => "i2",
            _ => "i" + (start % 1000),
        };
    }
}
