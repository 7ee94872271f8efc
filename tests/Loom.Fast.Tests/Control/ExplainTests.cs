using Loom.Control.Admission;
using Loom.Control.Explain;
using Loom.Control.Gateway;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Control;

public sealed class ExplainTests
{
    private static readonly DateTimeOffset s_noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Log_Find_NewestOfAnIdThatTheAskerMaySee()
    {
        var log = new RequestLog(capacity: 8);
        var hers = log.Begin("same", "alice", "/v1/messages", s_noon);
        var his = log.Begin("same", "bob", "/v1/chat/completions", s_noon);

        log.Find("same", static _ => true).ShouldBeSameAs(his);
        log.Find("same", static caller => caller == "alice").ShouldBeSameAs(hers);
        log.Find("same", static _ => false).ShouldBeNull();
        log.Find("other", static _ => true).ShouldBeNull();
    }

    [Fact]
    public void Log_Full_ForgetsTheOldestAndUsesItsRecordAgainOnceItHasEnded()
    {
        var log = new RequestLog(capacity: 2);
        var ended = log.Begin("ended", "", "/", s_noon);
        ended.End(200, null, 1, null);
        var running = log.Begin("running", "", "/", s_noon);

        log.Begin("third", "", "/", s_noon).ShouldBeSameAs(ended);
        log.Begin("fourth", "", "/", s_noon).ShouldNotBeSameAs(running, "it is still being written");

        log.Find("ended", static _ => true).ShouldBeNull();
        log.Find("running", static _ => true).ShouldBeNull();
        log.Find("third", static _ => true).ShouldNotBeNull();
        running.Id.ShouldBe("running");
    }

    [Fact]
    public void Record_UsedAgain_RemembersNothingOfTheRequestBefore()
    {
        using var world = new AdmissionWorld(capacity: 2, replicas: [("r0", "demo", 1)]);
        var record = new RequestRecord();
        record.Begin("first", "alice", "/v1/chat/completions", s_noon);
        record.Asked("demo", "demo", QueueClass.Batch, streamed: true);
        record.BeginPlacement();
        record.Judged(world.Replicas[0], Verdict.Candidate);
        record.Placed(world.Replicas[0], 1);
        record.Started(5, new WaitEstimate(4, true));
        record.Attempted(ProblemCode.WorkerReset, 7);
        record.End(502, ProblemCode.WorkerReset, 9, new TokenUsage(1, 0, 2));
        var use = record.Use;

        record.Begin("second", "bob", "/v1/completions", s_noon);

        record.Use.ShouldNotBe(use, "a reader of the first one must notice");
        record.HasEnded.ShouldBeFalse();
        (record.Id, record.Caller, record.Path).ShouldBe(("second", "bob", "/v1/completions"));
        (record.Name, record.Model, record.QueueMs, record.Predicted, record.Problem, record.Usage).ShouldBe((null, null, null, null, null, null));
        (record.Status, record.TotalMs, record.Placements, record.Streamed).ShouldBe((0, 0d, 0, false));
        record.AttemptList.ShouldBeEmpty();
        record.Candidates.ShouldBeEmpty();
    }

    [Fact]
    public void Record_OfADesk_ListsEachReplicaWithItsVerdictAndEachAttempt()
    {
        using var world = new AdmissionWorld(capacity: 2, replicas: [("r0", "demo", 1), ("r1", "demo", 1)]);
        var record = new RequestRecord();
        record.Begin("why", "", "/v1/chat/completions", s_noon);
        world.Enter("demo", out var first);
        var ticket = new Ticket();
        ticket.Reset(first.Route, QueueClass.Interactive, null, 0);
        ticket.Trace = record;

        world.Desk.Enter(ticket).ShouldBe(Admittance.Granted);

        record.Placements.ShouldBe(1);
        record.Candidates.Single(c => ReferenceEquals(c.Replica, first.Replica)).Verdict.ShouldBe(Verdict.NoFreeSlot);
        record.Candidates.Single(c => ReferenceEquals(c.Replica, ticket.Replica)).Verdict.ShouldBe(Verdict.Candidate);

        world.Desk.Release(first, measured: false);
        world.Desk.TryAgain(ticket).ShouldBe(Admittance.Granted);

        record.Placements.ShouldBe(2);
        record.AttemptList.Select(a => a.Replica.Status.Id.ReplicaName).Distinct().Count().ShouldBe(2);
        record.Candidates.Count(c => c.Verdict == Verdict.Tried).ShouldBe(1);
    }

    [Fact]
    public void Record_MoreReplicasThanItLists_CountsTheRest()
    {
        using var world = new AdmissionWorld(capacity: 2, replicas: [.. Enumerable.Range(0, 300).Select(i => ($"r{i}", "demo", 1))]);
        var record = new RequestRecord();
        record.Begin("many", "", "/", s_noon);
        record.BeginPlacement();

        foreach (var replica in world.Replicas)
        {
            record.Judged(replica, Verdict.Candidate);
        }

        record.Candidates.Count.ShouldBe(256);
        record.Unlisted.ShouldBe(44);
    }

    [Fact]
    public void Verdicts_EachHasWordsOfItsOwn()
    {
        var words = Enum.GetValues<Verdict>().Select(v => v.Words()).ToList();

        words.ShouldBeUnique();
        words.ShouldAllBe(w => w.Length > 0);
    }
}
