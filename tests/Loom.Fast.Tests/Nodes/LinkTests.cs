using System.Collections.Immutable;
using Loom.Core.Web;
using Loom.Node.Link;
using Loom.Testing;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Nodes;

public sealed class LinkTests
{
    private const string Url = "http://127.0.0.1:1/v1";

    private readonly ProxiedRuns _runs = new(new ManualTimeProvider());
    private ImmutableArray<ReplicaStatus> _replicas = [Replica(Url)];

    public LinkTests() => _runs.Watch(() => _replicas);

    [Theory]
    [InlineData(10, 10_000, 0.5, 10)]
    [InlineData(2, 10_000, 0.5, 2)]
    [InlineData(60, 10_000, 0.5, 10)]
    [InlineData(10, 10_000, 0, 9)]
    [InlineData(10, 10_000, 1, 11)]
    public void Pace_ObeysTheControlPlaneAndItsOwnInterval_WithinTenPercent(double own, int asked, double chance, double expected) =>
        LinkPace.Next(TimeSpan.FromSeconds(own), asked, chance).TotalSeconds.ShouldBe(expected, 0.001);

    [Fact]
    public void Backoff_DoublesFromOneToThirtySeconds() =>
        Enumerable.Range(1, 8).Select(n => LinkPace.Backoff(n).TotalSeconds).ShouldBe([1, 2, 4, 8, 16, 30, 30, 30]);

    [Fact]
    public void Slots_AllTaken_TheNextIsRefusedUntilOneLeaves()
    {
        var (_, run) = _runs.Enter("chat", "r0", takesSlot: true);
        _runs.Enter("chat", "r0", takesSlot: true);

        Should.Throw<ProblemException>(() => _runs.Enter("chat", "r0", takesSlot: true)).Problem.Code.ShouldBe(ProblemCode.NoSlot);
        _runs.Enter("chat", "r0", takesSlot: false); // asking for its models takes none
        _runs.Busy(_replicas[0].Id).ShouldBe(2);
        _runs.Leave(run, tookSlot: true);

        _runs.Enter("chat", "r0", takesSlot: true).Run.ShouldBeSameAs(run);
    }

    [Fact]
    public void Replica_UnknownOrNotReady_IsRefused()
    {
        Should.Throw<ProblemException>(() => _runs.Enter("chat", "r7", takesSlot: true)).Problem.Code.ShouldBe(ProblemCode.NotFound);
        _replicas = [Replica(null)];
        Should.Throw<ProblemException>(() => _runs.Enter("chat", "r0", takesSlot: true)).Problem.Code.ShouldBe(ProblemCode.PoolUnready);
        _replicas = [Replica(Url)];
        _runs.Close();
        Should.Throw<ProblemException>(() => _runs.Enter("chat", "r0", takesSlot: true)).Problem.Code.ShouldBe(ProblemCode.NodeUnavailable);
    }

    [Fact]
    public async Task Reload_OldRun_IsQuietWhenItsLastRequestEnds()
    {
        var (_, old) = _runs.Enter("chat", "r0", takesSlot: true);
        _replicas = [Replica("http://127.0.0.1:2/v1")];
        _runs.Enter("chat", "r0", takesSlot: true).Run.ShouldNotBeSameAs(old); // the slots of the new run are its own

        var quiet = _runs.QuietAsync(_replicas[0].Id, Url, CancellationToken.None);
        quiet.IsCompleted.ShouldBeFalse();
        _runs.Leave(old, tookSlot: true);

        (await quiet).ShouldBeTrue();
        (await _runs.QuietAsync(_replicas[0].Id, "http://127.0.0.1:2/v1", new CancellationToken(canceled: true))).ShouldBeFalse();
    }

    [Fact]
    public void Cut_EndsThoseThatRunAndNobodyAfter()
    {
        var (status, run) = _runs.Enter("chat", "r0", takesSlot: true);
        var cut = run.Cut.Token;

        _runs.Cut(status.Id, Url);

        cut.IsCancellationRequested.ShouldBeTrue();
        _runs.Enter("chat", "r0", takesSlot: true).Run.Cut.IsCancellationRequested.ShouldBeFalse();
    }

    [Fact]
    public void Command_Body_IsReadByThePath()
    {
        PoolCommandBody.Read("reload", "chat", """{"new_model_ref":"demo"}"""u8.ToArray()).ShouldBe(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "demo" });
        PoolCommandBody.Read("drain", "chat", """{"kind":"drain","pool_id":"chat","deadline_ms":5}"""u8.ToArray()).ShouldBe(new PoolCommand.Drain { PoolId = "chat", DeadlineMs = 5 });
        PoolCommandBody.Read("undrain", "chat", ReadOnlyMemory<byte>.Empty).ShouldBeOfType<PoolCommand.Undrain>();
        Should.Throw<ProblemException>(() => PoolCommandBody.Read("reload", "chat", "{}"u8.ToArray())).Problem.HttpStatus.ShouldBe(400);
        Should.Throw<ProblemException>(() => PoolCommandBody.Read("drain", "chat", """{"deadline_m":5}"""u8.ToArray())).Message.ShouldContain("deadline_ms");
    }

    private static ReplicaStatus Replica(string? url) => new()
    {
        Id = new ReplicaId("n", "chat", "r0"), State = ReplicaState.Ready, EngineKind = "mock", Model = "demo", Models = ["demo"], Url = url, SlotsTotal = 2,
    };
}
