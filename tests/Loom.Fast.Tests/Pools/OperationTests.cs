using System.Collections.Concurrent;
using System.Collections.Immutable;
using Loom.Fast.Tests.Node;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Pools;

/// <summary>What operations do, in which order, and what the world sees of it.</summary>
public sealed class OperationTests : IAsyncDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);
    private readonly FakePoolEffects _effects = new();
    private readonly ConcurrentQueue<ImmutableArray<ReplicaStatus>> _published = new();
    private PoolOwner? _pool;

    public async ValueTask DisposeAsync()
    {
        if (_pool is not null)
        {
            await _pool.DisposeAsync();
        }
    }

    [Fact]
    public async Task Reload_Fits_NewOneIsWarmBeforeTheOldOneGoes()
    {
        await StartAsync(Plan("a"));
        (await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" })).Status.ShouldBe(OperationState.Succeeded);
        Calls().ShouldBe(["prepare b", "spawn b", "warm b", "quiet 28080", "gone a"]);
        _published.SelectMany(r => r).ShouldNotContain(r => r.State == ReplicaState.Reloading && r.Url == null, "somebody answered all the time");
        Models().ShouldBe(["b"]);
    }

    [Fact]
    public async Task Reload_DoesNotFitBeside_OldOneGoesFirstAndNobodyIsNamed()
    {
        var asked = 0;
        _effects.Provision = model => model == "b" && asked++ == 0 ? new ProvisionException(ProvisionExit.DoesNotFit, "too large") : null;
        await StartAsync(Plan("a"));
        (await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" })).Status.ShouldBe(OperationState.Succeeded);
        Calls().ShouldBe(["prepare b", "quiet 28080", "gone a", "spawn b", "warm b"]);
        _published.SelectMany(r => r).Where(r => r.State == ReplicaState.Reloading).ShouldAllBe(r => r.Url == null && r.Model == "b");
    }

    [Fact]
    public async Task Reload_TooFewCoresForBoth_OldOneGoesFirst()
    {
        _effects.Cores = false;
        await StartAsync(Plan("a"));
        (await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" })).Status.ShouldBe(OperationState.Succeeded);
        Calls().ShouldBe(["prepare b", "quiet 28080", "gone a", "spawn b", "warm b"]);
    }

    [Fact]
    public async Task Reload_SecondReplicaDoesNotComeUp_BothHaveTheOldModelAgain()
    {
        var spawned = 0;
        _effects.Provision = model => model == "b" ? new ProvisionException(ProvisionExit.DoesNotFit, "too large") : null;
        _effects.Comes = model => model != "b" || Interlocked.Increment(ref spawned) == 1;
        await StartAsync(Plan("a") with { Replicas = 2 });
        var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" });
        end.Status.ShouldBe(OperationState.RolledBack);
        end.Error!.ShouldContain("cannot load it");
        Models().ShouldBe(["a", "a"]);
        _pool!.State.Members.ShouldAllBe(m => m.Mode == MemberMode.Serving && m.Incoming == null && m.Engine.State is EngineState.Ready);
        _pool.State.Plan.Models.ShouldBe(["a"]);
    }

    [Fact]
    public async Task Reload_NeitherNewNorOldComesUp_FailedAndSaidSo()
    {
        var gone = false;
        _effects.Provision = model => model == "b" ? new ProvisionException(ProvisionExit.DoesNotFit, "too large") : null;
        _effects.Comes = _ => !gone;
        await StartAsync(Plan("a"));
        gone = true;
        var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" });
        end.Status.ShouldBe(OperationState.Failed);
        end.Error!.ShouldContain("does not come back either");
        _published.Last()[0].State.ShouldBe(ReplicaState.Failed);
    }

    [Fact]
    public async Task Reload_ModelCannotBeHad_OldOneIsNotTouched()
    {
        _effects.Provision = model => model == "b" ? new ProvisionException(ProvisionExit.BadModel, "truncated file") : null;
        await StartAsync(Plan("a"));
        var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" });
        end.Status.ShouldBe(OperationState.RolledBack);
        end.Error!.ShouldContain("truncated file");
        Calls().ShouldBe(["prepare b"]);
    }

    [Fact]
    public async Task Reload_FirstTokenFails_RolledBack()
    {
        _effects.Warm = model => model == "b" ? "its first token failed" : null;
        await StartAsync(Plan("a"));
        (await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" })).Status.ShouldBe(OperationState.RolledBack);
        Calls().ShouldBe(["prepare b", "spawn b", "warm b", "gone b"]);
    }

    [Fact]
    public async Task Reload_WorkStillRunsAtTheDeadline_IsCutBeforeTheOldOneGoes()
    {
        _effects.Quiet = port => port != 28080;
        await StartAsync(Plan("a"));
        (await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b", DeadlineMs = 0 })).Status.ShouldBe(OperationState.Succeeded);
        Calls().ShouldBe(["prepare b", "spawn b", "warm b", "quiet 28080", "cut 28080", "quiet 28080", "gone a"]);
    }

    [Fact]
    public async Task Swap_Idle_StopsTheOldThenStartsTheNew()
    {
        await StartAsync(Plan("a", "b"));
        (await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = "r0", Model = "b" })).Status.ShouldBe(OperationState.Succeeded);
        Calls().ShouldBe(["prepare b", "quiet 28080", "gone a", "spawn b"]);
        _effects.Orders.Last().Prepared.ShouldNotBeNull("what was prepared is not prepared again");
        _published.Last()[0].Models.ShouldBe(["b", "a"]);
    }

    [Fact]
    public async Task Swap_Busy_RefusedWithoutTouchingTheEngine()
    {
        _effects.Quiet = _ => false;
        await StartAsync(Plan("a", "b"));
        (await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = "r0", Model = "b" })).Status.ShouldBe(OperationState.Failed);
        Calls().ShouldBe(["prepare b", "quiet 28080"]);
        _published.Last()[0].ShouldSatisfyAllConditions(r => r.State.ShouldBe(ReplicaState.Ready), r => r.Model.ShouldBe("a"), r => r.Url.ShouldNotBeNull());
    }

    [Theory]
    [InlineData("r9", "b", "no replica")]
    [InlineData("r0", "zebra", "none of pool")]
    public async Task Swap_UnknownNames_FailedInWords(string replica, string model, string words)
    {
        await StartAsync(Plan("a", "b"));
        var end = await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = replica, Model = model });
        end.Status.ShouldBe(OperationState.Failed);
        end.Error!.ShouldContain(words);
    }

    [Fact]
    public async Task Preload_AllRunWithAnotherModel_PointsAtReload()
    {
        await StartAsync(Plan("a", "b"));
        var end = await RunAsync(new PoolCommand.Preload { PoolId = "chat", ModelRef = "b" });
        end.Status.ShouldBe(OperationState.Failed);
        end.Error!.ShouldContain("reload");
    }

    [Fact]
    public async Task Purge_Models_DeletedOnlyAfterTheEnginesAreGone()
    {
        await StartAsync(Plan("a"));
        (await RunAsync(new PoolCommand.Purge { PoolId = "chat", PurgeModels = ["a"] })).Status.ShouldBe(OperationState.Succeeded);
        Calls().ShouldBe(["quiet 28080", "gone a", "delete a"]);
        _published.Last()[0].ShouldSatisfyAllConditions(r => r.State.ShouldBe(ReplicaState.Stopped), r => r.LastError!.ShouldContain("purged"));
    }

    [Fact]
    public async Task Halt_GpuMemoryComesBackLate_NextEngineWaitsForIt()
    {
        foreach (var bytes in new long[] { 5000, 5000, 5000, 5900 })
        {
            _effects.FreeDeviceBytes.Enqueue(bytes);
        }

        await StartAsync(Plan("a", "b"));
        (await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = "r0", Model = "b" })).Status.ShouldBe(OperationState.Succeeded);
        _effects.FreeDeviceBytes.ShouldBeEmpty();
        _effects.Measured.ShouldContain(("a", 900L));
    }

    [Fact]
    public async Task Operation_StepsAreToldInOrderWithTheirEnd()
    {
        await StartAsync(Plan("a"));
        ConcurrentQueue<OperationStatus> told = new();
        var end = await PoolCommands.RunAsync(_pool!, new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" }, s_deadline, told.Enqueue, CancellationToken.None);
        end.Steps.Select(s => (s.Step, s.Status)).ShouldBe([("start:r0", "completed"), ("warm:r0", "completed"), ("drain:r0", "completed")]);
        end.Steps.ShouldAllBe(s => s.Group == "here/chat" && s.Human != null);
        told.ShouldContain(s => s.Status == OperationState.Running && s.Steps.Any(step => step.Step == "start:r0" && step.Status == "running"));
        told.Last().ShouldBe(end);
    }

    [Fact]
    public async Task Model_CommandWithoutPlaceholder_CannotBeChanged()
    {
        var plan = Fixtures.Pool(EngineKinds.Command) with { Models = ["a"] };
        await StartAsync(plan with { Engine = plan.Engine with { Command = ["serve", "--port", "{port}"] } });
        var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" });
        end.Status.ShouldBe(OperationState.Failed);
        end.Error!.ShouldContain("{model}");
    }

    private static PoolPlan Plan(params string[] models) => Fixtures.Pool(EngineKinds.Mock) with { Models = [.. models] };

    private async Task StartAsync(PoolPlan plan)
    {
        var ready = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _pool = new PoolOwner(plan, "here", _effects, replicas =>
        {
            _published.Enqueue(replicas);
            if (replicas.All(r => r.State == ReplicaState.Ready))
            {
                ready.TrySetResult();
            }
        }, TimeProvider.System, NullLogger.Instance);
        _pool.Start();
        await ready.Task.WaitAsync(s_deadline);
        _effects.Calls.Clear();
        _published.Clear();
    }

    private Task<OperationStatus> RunAsync(PoolCommand command) =>
        PoolCommands.RunAsync(_pool!, command, s_deadline, _ => { }, CancellationToken.None).WaitAsync(s_deadline);

    private ImmutableArray<string> Calls() => [.. _effects.Calls];

    private ImmutableArray<string> Models() => [.. _published.Last().Select(r => r.Model)];
}
