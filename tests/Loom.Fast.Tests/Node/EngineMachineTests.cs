using FsCheck;
using FsCheck.Fluent;
using Loom.Node.Engines;
using Loom.Processes;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class EngineMachineTests
{
    private static readonly EngineMachine s_machine = new(new EngineRestartPolicy());

    [Fact]
    public void Step_AnyEventsInAnyOrder_KeepsItsPromises()
    {
        Check.QuickThrowOnFailure(Prop.ForAll(Gen.ListOf(Event()).ToArbitrary(), events =>
        {
            EngineState state = new EngineState.Stopped(null);
            foreach (var news in events)
            {
                var (next, effects) = s_machine.Step(state, news);
                // Work begins only with what it needs, and a stop is asked for exactly once.
                effects.Count(e => e is EngineEffect.Remove).ShouldBe(next is EngineState.Stopping && state is not EngineState.Stopping ? 1 : 0);
                effects.Count(e => e is EngineEffect.Prepare).ShouldBe(next is EngineState.Provisioning && state is not EngineState.Provisioning ? 1 : 0);
                effects.OfType<EngineEffect.AskFacts>().ShouldAllBe(e => e.Run.Port > 0);
                if (state is EngineState.Stopping && next is not EngineState.Stopping)
                {
                    news.ShouldBeOfType<EngineEvent.Gone>();
                }

                if (next is EngineState.Ready ready)
                {
                    ready.Run.Port.ShouldBeGreaterThan(0);
                    ready.Run.Spawn.ShouldBeGreaterThan(0);
                }

                state = next;
            }
        }));
    }

    [Fact]
    public void Step_NewsOfAnEarlierLife_ChangesNothing()
    {
        var state = new EngineState.Starting(new EngineRun(Fixtures.Prepared, 28080, 2), null);
        var earlier = state.Run with { Spawn = 1 };
        s_machine.Step(state, new EngineEvent.FactsLearned(earlier, EngineFacts.None)).State.ShouldBe(state);
        s_machine.Step(state, new EngineEvent.Probed(earlier, "dead")).State.ShouldBe(state);
        s_machine.Step(state, new EngineEvent.PortTaken(earlier)).State.ShouldBe(state);
    }

    [Fact]
    public void Step_TransientFailure_TriesAgainLaterAndLater()
    {
        EngineState state = new EngineState.Stopped(null);
        EngineEvent next = new EngineEvent.StartWanted();
        var pauses = new List<double>();
        for (var i = 0; i < 7; i++)
        {
            state = s_machine.Step(state, next).State;
            var (failed, effects) = s_machine.Step(state, new EngineEvent.PrepareFailed("no network", Transient: true));
            pauses.Add(effects.ShouldHaveSingleItem().ShouldBeOfType<EngineEffect.Retry>().After.TotalSeconds);
            (state, next) = (failed, new EngineEvent.RetryDue());
        }

        pauses.ShouldBe([30, 60, 120, 240, 480, 600, 600]);
    }

    [Fact]
    public void Step_RetryDueAfterAnOperatorStarted_ChangesNothing()
    {
        var state = new EngineState.Provisioning(1, null, null);
        s_machine.Step(state, new EngineEvent.RetryDue()).ShouldBe((state, []));
    }

    [Fact]
    public void Step_ManyFaultReports_ProbeOnceAtATime()
    {
        var run = new EngineRun(Fixtures.Prepared, 28080, 1);
        EngineState state = new EngineState.Ready(run, EngineFacts.None);
        var fault = new EngineEvent.FaultReported("reset");
        (state, var effects) = s_machine.Step(state, fault);
        effects.ShouldHaveSingleItem().ShouldBe(new EngineEffect.Probe(run, TimeSpan.Zero));
        s_machine.Step(state, fault).Effects.ShouldBeEmpty();
        state = s_machine.Step(state, new EngineEvent.Probed(run, null)).State;
        state.ShouldBe(new EngineState.Ready(run, EngineFacts.None));
        s_machine.Step(state, fault).Effects.ShouldHaveSingleItem();
    }

    private static Gen<EngineEvent> Event()
    {
        var run = new EngineRun(Fixtures.Prepared, 28080, 0);
        EngineRun Life(int spawn) => spawn == 0 ? run with { Port = 0 } : run with { Spawn = spawn };
        var spawn = Gen.Choose(0, 3);
        return Gen.OneOf(
            Gen.Elements<EngineEvent>(
                new EngineEvent.StartWanted(), new EngineEvent.StopWanted(), new EngineEvent.Gone(null), new EngineEvent.Progress(5, "x"),
                    new EngineEvent.Prepared(Fixtures.Prepared),
                new EngineEvent.PrepareFailed("x", true), new EngineEvent.PrepareFailed("x", false), new EngineEvent.RetryDue(), new EngineEvent.Launching(run),
                new EngineEvent.LaunchFailed("x"), new EngineEvent.FaultReported("x")),
            spawn.Select<int, EngineEvent>(s => new EngineEvent.FactsLearned(Life(s), EngineFacts.None)),
            spawn.Select<int, EngineEvent>(s => new EngineEvent.Probed(Life(s), s % 2 == 0 ? null : "x")),
            spawn.Select<int, EngineEvent>(s => new EngineEvent.Loading(Life(s), 3)),
            spawn.Select<int, EngineEvent>(s => new EngineEvent.PortTaken(Life(s))),
            Gen.Choose(1, 3).SelectMany(s => Gen.Elements(Enum.GetValues<ProcessState>()).Select<ProcessState, EngineEvent>(
                p => new EngineEvent.ProcessChanged(Fixtures.Process(p, s, "x", TimeSpan.FromSeconds(1)), null))));
    }
}
