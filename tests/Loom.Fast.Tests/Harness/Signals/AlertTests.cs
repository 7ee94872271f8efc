using Loom.Fast.Tests.Harness.Architecture;
using Loom.Harness.Alerts;
using Loom.Harness.Architecture;
using Loom.Harness.Expressions;
using Loom.Harness.Telemetry;
using Loom.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Signals;

public sealed class AlertTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private static AlertRule Rule(string expression, int hold = 0, string? webhook = null, int keep = 0) =>
        new("depth", MetricExpression.Compile(expression), TimeSpan.FromSeconds(hold), TimeSpan.FromSeconds(keep), AlertSeverity.Warning, webhook, BuiltIn: false);

    [Fact]
    public void Observe_HoldsLongEnough_FiresAndResolvesOnce()
    {
        var tracker = new AlertTracker(Rule("x > 1", hold: 3));
        bool[] holds = [true, true, false, true, true, true, true, true, true, false, false, true];

        var said = holds.Select((h, i) => tracker.Observe(h, s_start.AddSeconds(i))).Select((c, i) => (c, i)).Where(c => c.c is not null).Select(c => (c.i, c.c!.Fires, (c.c.At - c.c.Since).TotalSeconds)).ToList();

        said.ShouldBe([(6, true, 3), (9, false, 6)]);
        tracker.State.ShouldBe(AlertState.Pending);
        tracker.Fired.ShouldBe(1);
    }

    [Fact]
    public void Observe_SwingsAboutItsThreshold_OneFiringAndOneEndWithTheCount()
    {
        var tracker = new AlertTracker(Rule("x > 1", keep: 30));
        var changes = new List<AlertChange>();

        for (var second = 0; second < 600; second++)
        {
            if (tracker.Observe(holds: second < 300 && second % 20 < 10, s_start.AddSeconds(second)) is { } change)
            {
                changes.Add(change);
            }
        }

        changes.Select(c => (c.Fires, (c.At - s_start).TotalSeconds, c.Times)).ShouldBe([(true, 0, 1), (false, 290 + 30, 15)]);
        tracker.Fired.ShouldBe(1);
    }

    [Fact]
    public void Resume_FiredInTheRunBefore_NotToldAgainAndItsEndIs()
    {
        var tracker = new AlertTracker(Rule("x > 1", hold: 60, keep: 30));
        tracker.Resume(s_start.AddHours(-1));

        tracker.Observe(holds: true, s_start).ShouldBeNull();
        tracker.Observe(holds: false, s_start.AddSeconds(1)).ShouldBeNull();
        var end = tracker.Observe(holds: false, s_start.AddSeconds(31)).ShouldNotBeNull();
        (end.Fires, end.Since).ShouldBe((false, s_start.AddHours(-1)));
    }

    [Fact]
    public void End_WhileOneFiresAndOneIsPending_TheFiringOneIsOverWithTheReason()
    {
        var time = new ManualTimeProvider();
        var metrics = new MetricHistory((_, _) => [new MetricPoint(7)], () => null!, time);
        var changes = new List<AlertChange>();
        var monitor = new AlertMonitor([Rule("stream_depth > 5", keep: 30), Rule("stream_depth > 5", hold: 60)], metrics, time, NullLogger.Instance) { Changed = changes.Add };
        monitor.Look();

        monitor.End("the system drained");
        monitor.End("the system drained");

        changes.Select(c => (c.Fires, c.Reason)).ShouldBe([(true, null), (false, "the system drained")]);
        monitor.Status.ShouldAllBe(s => s.State == AlertState.Inactive);
    }

    [Fact]
    public void Resume_OneIsNoAlertAnyMore_ItsEndIsToldWithTheReason()
    {
        var time = new ManualTimeProvider();
        var changes = new List<AlertChange>();
        var monitor = new AlertMonitor([Rule("stream_depth > 5")], new MetricHistory((_, _) => [], () => null!, time), time, NullLogger.Instance) { Changed = changes.Add };

        monitor.Resume([new FiringAlert("depth", s_start), new FiringAlert("renamed", s_start, "memory_bytes > 0", AlertSeverity.Critical, "ops"), new FiringAlert("unknown", s_start)]);

        var end = changes.ShouldHaveSingleItem();
        (end.Rule.Name, end.Rule.Condition.Text, end.Rule.Severity, end.Rule.Webhook).ShouldBe(("renamed", "memory_bytes > 0", AlertSeverity.Critical, "ops"));
        (end.Fires, end.Since, end.Reason).ShouldBe((false, s_start, "no longer an alert"));
        monitor.Status.ShouldHaveSingleItem().State.ShouldBe(AlertState.Firing);
    }

    [Fact]
    public void For_Defaults_EveryConditionIsOverMetricsThereAre()
    {
        var rules = BuiltInAlerts.For(new PolicyPlan());

        rules.Select(r => r.Name).ShouldBe(
            [
                "breaker_open", "checkpoint_failing", "checkpoint_late", "component_failed", "component_paused", "cpu", "dead_letters", "dead_letters_unwritable", "disk",
                "error_rate", "error_rate_critical", "memory", "memory_critical", "stalled", "state_in_memory",
            ]);
        rules.Single(r => r.Name == "cpu").For.ShouldBe(TimeSpan.FromMinutes(5));
        rules.ShouldAllBe(r => r.KeepFiringFor == TimeSpan.FromSeconds(30));
        BuiltInAlerts.For(new PolicyPlan { MaxMemoryMb = 4000 }).Single(r => r.Name == "memory").Condition.Text.ShouldBe("memory_limit_ratio > 0.9");
    }

    [Fact]
    public void For_EntryOfTheSameName_ChangesWhatItMentions()
    {
        var rules = BuiltInAlerts.For(new PolicyPlan
        {
            Alerts =
            [
                new AlertPlan("dead_letters", "dead_letters_total > 5", null, AlertSeverity.Critical, "ops"),
                new AlertPlan("cpu", null, TimeSpan.FromSeconds(1), null, null) { KeepFiringFor = TimeSpan.FromSeconds(5) },
                new AlertPlan("disk", null, null, null, null) { Enabled = false },
                new AlertPlan("mine", "stream_depth > 10", null, null, null),
            ],
        });

        var letters = rules.Single(r => r.Name == "dead_letters");
        (letters.Condition.Text, letters.Severity, letters.Webhook, letters.BuiltIn).ShouldBe(("dead_letters_total > 5", AlertSeverity.Critical, "ops", true));
        var cpu = rules.Single(r => r.Name == "cpu");
        (cpu.Condition.Text, cpu.For, cpu.KeepFiringFor).ShouldBe(("cpu_ratio > 0.8", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(5)));
        rules.ShouldNotContain(r => r.Name == "disk");
        rules[^1].Name.ShouldBe("mine");
    }

    [Theory]
    [InlineData("alerts: [ { name: a, expr: stream_dept > 5 } ]", "LH406", "did you mean \"stream_depth\"")]
    [InlineData("alerts: [ { name: a } ]", "LH107", "needs the key \"expr\"")]
    [InlineData("alerts: [ { name: a, expr: stream_depth } ]", "LH406", "compare it")]
    [InlineData("alerts: [ { name: a, expr: stream_depth > 5, webhook: ops } ]", "LH115", "none of policy.observability.webhooks")]
    [InlineData("alerts: [ { name: a, expr: stream_depth > 5 }, { name: a, expr: stream_depth > 6 } ]", "LH115", "there are two alerts \"a\"")]
    [InlineData("webhooks: [ { name: ops, url: \"http://127.0.0.1:1/x\" } ]", "LH115", "add \"127.0.0.1\" to policy.security.allow_hosts")]
    [InlineData("webhooks: [ { name: \"bad\\nname\", url: \"http://127.0.0.1:1/x\" } ]", "LH115", "a name is letters, digits")]
    public void Load_WrongObservability_FindingWithTheRemedy(string observability, string code, string said)
    {
        var system = new MemorySystem($"""
            schema_version: "1.0.0"
            system: {"{"} name: small, version: 1.0.0 {"}"}
            components:
              - {"{"} name: tick, type: Source, uses: tick {"}"}
              - {"{"} name: print, type: Sink, uses: print {"}"}
            bindings: [ {"{"} from: tick.out, to: print.in {"}"} ]
            policy: {"{"} observability: {"{"} {observability} {"}"} {"}"}
            """);

        var finding = system.Load().Findings.ShouldHaveSingleItem();

        finding.Code.ShouldBe(code);
        finding.Message.ShouldContain(said);
    }

    [Fact]
    public void Look_BrokenCondition_DoesNotStopTheOthers()
    {
        var time = new ManualTimeProvider();
        var metrics = new MetricHistory((name, _) => name == "bad" ? throw new InvalidOperationException("torn") : [new MetricPoint(7)], () => null!, time);
        var changes = new List<AlertChange>();
        var monitor = new AlertMonitor([Rule("bad > 1"), Rule("stream_depth > 5")], metrics, time, NullLogger.Instance) { Changed = changes.Add };

        monitor.Look();
        monitor.Look();

        changes.ShouldHaveSingleItem().Fires.ShouldBeTrue();
        monitor.Status.Select(s => s.State).ShouldBe([AlertState.Inactive, AlertState.Firing]);
    }
}
