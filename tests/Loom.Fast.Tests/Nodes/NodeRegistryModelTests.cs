using FsCheck;
using FsCheck.Fluent;
using Loom.Control.Nodes;
using Loom.Testing.Nodes;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Nodes;

/// <summary>Whatever happens in whatever order, the registry says what the rules say.</summary>
public sealed class NodeRegistryModelTests
{
    private static readonly string[] s_nodes = ["a", "b", "c", "d", "e"];

    [Fact]
    public void Registry_AnyHistory_AgreesWithTheModel()
    {
        var step = from what in Gen.Choose(0, 12)
                   from node in Gen.Elements(s_nodes)
                   from machine in Gen.Frequency((9, Gen.Constant("m")), (1, Gen.Constant("other")))
                   from instance in Gen.Frequency((6, Gen.Constant("one")), (1, Gen.Constant("two")))
                   from number in Gen.Choose(0, 40)
                   select new Step(what, node, machine, instance, number);
        Prop.ForAll(step.ListOf(120).ToArbitrary(), Play).QuickCheckThrowOnFailure();
    }

    private static void Play(IList<Step> history)
    {
        var world = new RegistryWorld(timeout: 30, interval: 10, forget: 100);
        var model = new NodeModel(30, 10, 100);
        foreach (var step in history)
        {
            switch (step.What)
            {
                case <= 2:
                    Word(world.Register(step.Node, step.Machine, step.Instance)).ShouldBe(model.Register(step.Node, step.Machine, step.Instance, world.Now));
                    break;
                case <= 6:
                    Word(world.Beat(step.Node, step.Number, step.Instance)).ShouldBe(model.Beat(step.Node, step.Instance, step.Number, world.Now));
                    break;
                case <= 9:
                    world.Now += step.Number;
                    world.Check().Lost.Order(StringComparer.Ordinal).ShouldBe(model.Check(world.Now).Order(StringComparer.Ordinal));
                    break;
                case 10:
                    world.Registry.Refused(step.Node, "refused", world.Wall);
                    model.Refuse(step.Node);
                    break;
                case 11:
                    world.Registry.Drain(step.Node, step.Number % 2 == 0);
                    model.Drain(step.Node, step.Number % 2 == 0);
                    break;
                default:
                    world.Registry.Remove(step.Node);
                    model.Remove(step.Node);
                    break;
            }

            model.Compare(world.Registry).ShouldBeNull($"after {step}");
        }
    }

    private static string Word(RegisterOutcome outcome) => outcome == RegisterOutcome.InUse ? "in use" : outcome.ToString().ToLowerInvariant();

    private static string Word(BeatOutcome outcome) => outcome switch
    {
        BeatOutcome.Unknown => "unknown",
        BeatOutcome.Older => "older",
        _ => "taken",
    };

    private sealed record Step(int What, string Node, string Machine, string Instance, int Number);
}
