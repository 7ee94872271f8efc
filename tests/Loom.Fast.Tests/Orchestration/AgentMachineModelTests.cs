using Loom.Agents.Orchestration;
using Loom.Agents.Plans;
using Loom.Processes;
using FsCheck;
using FsCheck.Fluent;
using Shouldly;
using Xunit;
using static Loom.Fast.Tests.Orchestration.Plans;

namespace Loom.Fast.Tests.Orchestration;

/// <summary>
/// Random graphs, random wishes, random fates, and a supervisor that answers when it likes. Held after each step: nothing starts whose conditions do not hold,
/// nothing starts twice, nothing stops before what depends on it. Held at the end, when all is answered: nothing waits whose conditions hold.
/// </summary>
public sealed class AgentMachineModelTests
{
    private static readonly string[] s_names = ["a", "b", "c", "d", "e", "f"];

    [Fact]
    public void AnyGraphAnyEvents_Invariants_Hold() => Prop.ForAll(
        ArbMap.Default.ArbFor<int>(),
        ArbMap.Default.ArbFor<int[]>(),
        (seed, steps) =>
        {
            var random = new Random(seed);
            var stage = new Stage(Graph(random), byHand: true);
            foreach (var step in steps.Concat(Enumerable.Range(0, 40).Select(_ => random.Next())))
            {
                Step(stage, new Random(step));
            }

            Drain(stage);
            NobodyWaitsInVain(stage);
            var before = stage.State;
            stage.Do(new HostEvent.CloseWanted());
            AskedRightly(stage, before);
            Drain(stage);
            stage.State.Replicas.ShouldAllBe(r => r.Phase is ReplicaPhase.Off);
            stage.Processes.Values.ShouldAllBe(p => p.Pid == null);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    /// <summary>Edges only to what comes later, so there is no circle; one to three replicas, and a pool.</summary>
    private static ProjectPlan Graph(Random random) => Project(
    [
        .. s_names.Select((name, i) => Replicated(
            name,
            random.Next(1, 4),
            [
                .. s_names.Skip(i + 1).Where(_ => random.Next(3) == 0).Select(n => $"{n}:{(DependencyCondition)random.Next(4)}"),
                .. random.Next(5) == 0 ? new[] { "pools.x" } : [],
            ]) with { RestartsWithDependencies = random.Next(4) == 0 }),
    ]);

    /// <summary>Another plan: other edges and replicas, some agents gone, some with another command.</summary>
    private static ProjectPlan Revised(Random random) => Project(
    [
        .. Graph(random).Agents.Where(_ => random.Next(5) != 0).Select(a => random.Next(3) == 0 ? a.With(p => p with { Command = [p.Name, "--other"] }) : a),
    ]);

    private static void Step(Stage stage, Random random)
    {
        var names = stage.State.Agents.Keys.Order(StringComparer.Ordinal).ToList();
        var before = stage.State;
        if (names.Count == 0)
        {
            stage.Do(new HostEvent.PlanWanted(Revised(random)));
            return;
        }

        var name = names[random.Next(names.Count)];
        switch (random.Next(17))
        {
            case 0:
                stage.Start();
                break;
            case 1:
                stage.Start(name);
                break;
            case 2:
                stage.Do(new HostEvent.StopWanted(AgentNames.Resolve(stage.State, [name]), random.Next(2) == 0));
                break;
            case 3:
                stage.Do(new HostEvent.RestartWanted(AgentNames.Resolve(stage.State, [name]), Dependencies: true));
                break;
            case 4:
                stage.Pool("x", started: random.Next(2) == 0, ready: random.Next(2) == 0, failed: random.Next(4) == 0);
                break;
            case 5:
                stage.Do(new HostEvent.ReloadWanted(name, "saved", random.Next(2) == 0));
                break;
            case 6:
                stage.Do(new HostEvent.PlanWanted(Revised(random)));
                break;
            case < 12 when stage.Open.Count > 0:
                Carry(stage);
                return;
            default:
                Fate(stage, random);
                break;
        }

        AskedRightly(stage, before);
    }

    /// <summary>Something happens to one of those that run.</summary>
    private static void Fate(Stage stage, Random random)
    {
        var living = stage.Processes.Values.Where(p => p.Pid is not null && !stage.Open.Any(a => a.Name == p.Name)).ToList();
        if (living.Count == 0)
        {
            return;
        }

        var name = living[random.Next(living.Count)].Name;
        switch (random.Next(6))
        {
            case 0:
                stage.Crash(name, random.Next(2));
                break;
            case 1:
                stage.Failed(name, "exit 1");
                break;
            case 2:
                stage.Completed(name);
                break;
            default:
                stage.Ready(name);
                break;
        }
    }

    private static void Drain(Stage stage)
    {
        for (var i = 0; stage.Open.Count > 0; i++)
        {
            i.ShouldBeLessThan(1000, "requests have an end");
            Carry(stage);
        }
    }

    private static void Carry(Stage stage)
    {
        var before = stage.State;
        stage.CarryNext();
        AskedRightly(stage, before);
    }

    /// <summary>Whoever became started just now had all conditions fulfilled, as the supervisor has told them; whoever is stopped, nobody stops after.</summary>
    private static void AskedRightly(Stage stage, HostState before)
    {
        var conditions = new Conditions(stage.State.Replicas.ToDictionary(r => r.Name), stage.State);
        var asks = stage.Take();
        asks.Where(a => a.StartsWith("stop ")).ToList().ForEach(a => StopIsInOrder(stage, a[5..]));
        foreach (var asked in asks.Where(a => a.StartsWith("start ")))
        {
            var replica = stage.State.Find(asked[6..])!;
            conditions.Of(replica.Agent).ShouldBeOfType<Verdict.Holds>(asked);
            (before.Find(replica.Name)?.Phase is ReplicaPhase.Up { Op: not null }).ShouldBeFalse($"{asked}, although its start is not answered");
        }
    }

    /// <summary>Nothing that is to stop, too, and depends on it, has a process any more; of what has none itself, nobody can lose anything.</summary>
    private static void StopIsInOrder(Stage stage, string name)
    {
        var graph = new AgentGraph(stage.State.Agents.Values);
        var replica = stage.State.Find(name)!;
        stage.State.Replicas
            .Where(r => replica.Alive && r.Phase is ReplicaPhase.Ending && graph.DependsOn(r.Agent.Name, replica.Agent.Name) && stage.Processes.GetValueOrDefault(r.Name)?.Pid is not null)
            .ShouldBeEmpty($"stop {name}");
    }

    private static void NobodyWaitsInVain(Stage stage)
    {
        var conditions = new Conditions(stage.State.Replicas.ToDictionary(r => r.Name), stage.State);
        foreach (var replica in stage.State.Replicas)
        {
            switch (replica.Phase)
            {
                case ReplicaPhase.Waiting { Shown: ProcessState.Pending }:
                    conditions.Of(replica.Agent).ShouldBeOfType<Verdict.NotYet>(replica.Name);
                    break;
                case ReplicaPhase.Waiting:
                    conditions.Of(replica.Agent).ShouldBeOfType<Verdict.Never>(replica.Name);
                    break;
                case ReplicaPhase.Ending or ReplicaPhase.Changing or ReplicaPhase.Up { Op: not null }:
                    throw new InvalidOperationException($"{replica.Name} is {replica.Phase}, though everything was answered");
            }
        }
    }
}
