using System.Text.Json;
using Loom.Components;
using Loom.Fast.Tests.Harness.Architecture;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Components;
using Loom.Harness.Components.BuiltIns.Control;
using Loom.Harness.Execution;
using Loom.Harness.Expressions;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Control;

public sealed class RulesTests
{
    private const string Whole = """
        schema_version: "1.0.0"
        system: { name: steered, version: 1.0.0 }
        components:
          - { name: make, type: Source, uses: generate, config: { count: 10 } }
          - name: watch
            type: Controller
            uses: rules
            config:
              every: 500ms
              rules:
                - { when: 'value(stream_depth, {"stream": "make.out->out.in"}) > 900', for: 5s, component: make, do: { op: set_rate, rate: 50 }, undo: { op: set_rate, rate: 0 } }
                - { when: 'rate(dead_letters_total, "1m") > 10', do: { op: pause } }
          - { name: out, type: Sink, uses: discard }
        bindings:
          - { from: make.out, to: out.in }
          - { from: watch.control, to: [make.control, out.control] }
        """;

    private static readonly DateTimeOffset s_noon = new(2026, 1, 31, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Load_ASystemWithRules_NothingWrong() => Lines(Whole).ShouldBeEmpty();

    [Theory]
    [InlineData("value(stream_depth,", "value(stream_deth,", ":11:", "did you mean \"stream_depth\"?")]
    [InlineData("> 900'", "'", ":11:", "must give a bool")]
    [InlineData("op: set_rate, rate: 50", "op: set_rate", ":11:", "needs a \"rate\"")]
    [InlineData("{ op: pause }", "{ op: halt }", ":12:", "pause")]
    [InlineData("{ op: pause }", "{ op: set_config }", ":12:", "needs a \"config\"")]
    [InlineData("every: 500ms", "evry: 500ms", ":9:", "did you mean \"every\"?")]
    [InlineData("watch.control, to: [make.control", "watch.control, to: [make.cotrol", ":16:", "did you mean \"control\"?")]
    [InlineData("from: watch.control", "from: make.out", ":16:", "takes control_in")]
    public void Load_OneThingWrong_LineAndAdvice(string right, string wrong, string line, string advice)
    {
        Whole.ShouldContain(right);
        var lines = Lines(Whole.Replace(right, wrong, StringComparison.Ordinal)).Where(l => l.Contains("error", StringComparison.Ordinal)).ToArray();
        lines.ShouldContain(l => l.Contains($"architecture.yaml{line}", StringComparison.Ordinal) && l.Contains(advice, StringComparison.Ordinal), string.Join('\n', lines));
    }

    [Fact]
    public void Rule_HoldsLongEnough_DoesOnceAndUndoesOnce()
    {
        var rule = new Rule(TimeSpan.FromSeconds(5));
        rule.Look(true, s_noon).ShouldBe(RuleStep.None);
        rule.Look(false, s_noon.AddSeconds(4)).ShouldBe(RuleStep.None);
        rule.Look(true, s_noon.AddSeconds(5)).ShouldBe(RuleStep.None);
        rule.Look(null, s_noon.AddSeconds(6)).ShouldBe(RuleStep.None);
        rule.Look(true, s_noon.AddSeconds(10)).ShouldBe(RuleStep.Do);
        rule.Look(true, s_noon.AddSeconds(20)).ShouldBe(RuleStep.None);
        rule.Look(false, s_noon.AddSeconds(21)).ShouldBe(RuleStep.Undo);
        rule.Look(false, s_noon.AddSeconds(22)).ShouldBe(RuleStep.None);
    }

    [Fact]
    public async Task Run_StreamFillsUpAndEmpties_TheSourceIsPausedAndResumed()
    {
        var time = new ManualTimeProvider();
        var kit = new RunKit { Time = time };
        var kept = new List<Event<long>>();
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var options = new RulesOptions
        {
            Rules =
            [
                new RuleOptions
                {
                    When = MetricExpression.Compile("stream_depth >= 5"), Component = "numbers", Do = new RuleOperation { Op = "pause" }, Undo = new RuleOperation { Op = "resume" },
                },
            ],
        };
        var builder = new HarnessBuilder("system")
            .Add("numbers", () => new Numbers(100))
            .Add("apply", () => new Apply(async (e, o, ct) =>
            {
                await gate.Task.WaitAsync(ct);
                await o.SendAsync(e, ct);
            }))
            .Add("keep", () => new Keep(kept))
            .Add("rules", () => new RulesController(options))
            .Bind("numbers.out", "apply.in", b => b with { Buffer = 10 })
            .Bind("apply.out", "keep.in")
            .Bind("rules.control", "numbers.control");
        var (paused, ended) = (false, false);
        var pumping = Task.CompletedTask;
        var run = kit.RunAsync(builder, started: assembly => pumping = Task.Run(() =>
        {
            var host = assembly.Run.Hosts.Single(h => h.Plan.Name == "numbers");
            SpinWait.SpinUntil(
                () =>
                {
                    time.Advance(TimeSpan.FromMilliseconds(100));
                    return host.Loop.Pause.Reason is not null;
                },
                TimeSpan.FromSeconds(180)).ShouldBeTrue();
            paused = host.Loop.Pause.Reason == "asked to pause by rules.control";
            gate.SetResult();
            // Not longer than events flow: the end has its deadlines, and a machine that is busy meanwhile must not see them pass.
            var counters = assembly.Run.Hosts.Single(h => h.Plan.Name == "keep").Loop.Counters;
            SpinWait.SpinUntil(
                () =>
                {
                    time.Advance(TimeSpan.FromMilliseconds(100));
                    return counters.Done == 100 || Volatile.Read(ref ended);
                },
                TimeSpan.FromSeconds(180));
        }));
        await Task.WhenAny(run, pumping.ContinueWith(t => t.IsFaulted ? t : run).Unwrap());
        Volatile.Write(ref ended, true);
        await pumping;
        var result = await run;
        result.ExitCode.ShouldBe(RunResult.Ended, $"{result.Reason}: {string.Join("; ", result.Errors.Select(e => e.Message))}");
        paused.ShouldBeTrue();
        kept.Count.ShouldBe(100);
    }

    [Fact]
    public async Task Tick_OutsideARun_DoesNothing()
    {
        var options = new RulesOptions { Rules = [new RuleOptions { When = MetricExpression.Compile("memory_bytes > 0"), Do = new RuleOperation { Op = "pause" } }] };
        var output = new Emitter<JsonElement>();
        await new RulesController(options).OnTickAsync(s_noon, output, TestContext.Current.CancellationToken);
        output.Count.ShouldBe(0);
    }

    private static string[] Lines(string architecture) => new MemorySystem(architecture) { Components = ComponentCatalog.BuiltIns }.Lines();
}
