using System.Collections.Immutable;
using Loom.Node.Demo;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.SystemTests.Node;
using Loom.Testing;
using Loom.Wire;
using Shouldly;
using Xunit;

namespace Loom.SystemTests.Pools;

/// <summary>Operations on pools with real engine processes: Loom's own mock engine and the embedded one.</summary>
public sealed class PoolTests : IAsyncLifetime
{
    private readonly NodeWorld _world = new();
    private Callers? _callers;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await _world.DisposeAsync();
        _callers?.Dispose();
    }

    [Fact(Timeout = 300_000)]
    public async Task Reload_RequestsWithoutABreak_NoneFailsAndTheNewModelAnswers()
    {
        await StartAsync(Mock("a"));
        using var stop = new CancellationTokenSource();
        var loop = _callers!.LoopAsync(stop.Token);
        await _callers.AskAsync(CancellationToken.None);
        var before = _world.Replica.Url;
        var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" });
        end.Status.ShouldBe(OperationState.Succeeded, end.Error);
        end.Steps.Select(s => s.Step).ShouldContain("warm:r0");
        (await _callers.AskAsync(CancellationToken.None)).Model.ShouldBe("b");
        await stop.CancelAsync();
        var answers = await loop;
        answers.GetValueOrDefault("a").ShouldBeGreaterThan(0);
        _world.Replica.Url.ShouldNotBe(before);
        _world.Replica.Models.ShouldBe(["b"]);
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
        _world.Replica.LoadMs.ShouldNotBeNull();
        _world.Supervisor.Processes.ShouldHaveSingleItem().LogPath.ShouldEndWith("engine-chat-r0.log");
    }

    [Fact(Timeout = 300_000)]
    public async Task Reload_CommandEngineOfTwoReplicas_AllSwitchInOneStep()
    {
        await StartAsync(Command(2));
        using var stop = new CancellationTokenSource();
        var loop = _callers!.LoopAsync(stop.Token);
        List<ImmutableArray<string>> seen = [];
        using var watching = new CancellationTokenSource();
        var watch = WatchModelsAsync(seen, watching.Token);
        var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "b" });
        end.Status.ShouldBe(OperationState.Succeeded, end.Error);
        await stop.CancelAsync();
        await loop;
        await watching.CancelAsync();
        await watch;
        seen.ShouldNotContain(models => models.Distinct().Count() > 1, "one replica had the new model and the other the old one");
        _world.Agent.Snapshot.ShouldAllBe(r => r.Model == "b" && r.State == ReplicaState.Ready);
        _world.Supervisor.Processes.Length.ShouldBe(2);
    }

    [Fact(Timeout = 300_000)]
    public async Task Reload_NewEngineDies_RolledBackAndTheOldOneNeverStopped()
    {
        await StartAsync(Command(1));
        var pid = _world.Supervisor.Processes[0].Pid;
        var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "broken" });
        end.Status.ShouldBe(OperationState.RolledBack);
        end.Error!.ShouldContain("exit 3");
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
        _world.Replica.Model.ShouldBe("a");
        _world.Supervisor.Processes.ShouldHaveSingleItem().Pid.ShouldBe(pid);
        (await _callers!.AskAsync(CancellationToken.None)).Model.ShouldBe("a");
    }

    [Fact(Timeout = 300_000)]
    public async Task Swap_IdleReplica_HasTheOtherModelAndItsLoadTime()
    {
        await StartAsync(Mock("a", "b"));
        _world.Replica.Swap.ShouldBeTrue();
        var end = await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = "r0", Model = "b" });
        end.Status.ShouldBe(OperationState.Succeeded, end.Error);
        _world.Replica.Model.ShouldBe("b");
        _world.Replica.Models.ShouldBe(["b", "a"]);
        _world.Replica.LoadMs!.Value.ShouldBeGreaterThan(0);
        (await _callers!.AskAsync(CancellationToken.None)).Model.ShouldBe("b");
        _world.Supervisor.Processes.ShouldHaveSingleItem();
    }

    [Fact(Timeout = 300_000)]
    public async Task Swap_WorkInFlight_RefusedAndServesOn()
    {
        await StartAsync(Mock("a", "b"));
        var url = _world.Replica.Url!;
        using (_callers!.Hold(url))
        {
            var end = await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = "r0", Model = "b" });
            end.Status.ShouldBe(OperationState.Failed);
            end.Error!.ShouldContain("in flight");
        }

        _world.Replica.State.ShouldBe(ReplicaState.Ready);
        _world.Replica.Url.ShouldBe(url);
        (await _callers.AskAsync(CancellationToken.None)).Model.ShouldBe("a");
    }

    [Fact(Timeout = 300_000)]
    public async Task Swap_NewModelDoesNotCome_OldOneIsBack()
    {
        await StartAsync(Command(1) with { Models = ["a", "broken"] });
        var end = await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = "r0", Model = "broken" });
        end.Status.ShouldBe(OperationState.RolledBack);
        end.Error!.ShouldContain("'a' is back");
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
        (await _callers!.AskAsync(CancellationToken.None)).Model.ShouldBe("a");
    }

    [Fact(Timeout = 300_000)]
    public async Task Drain_RequestHeld_WaitsForItThenUndrainOpensAgain()
    {
        await StartAsync(Mock("a"));
        var held = _callers!.Hold(_world.Replica.Url!);
        var drain = RunAsync(new PoolCommand.Drain { PoolId = "chat", DeadlineMs = 60_000 });
        await _world.Until(ReplicaState.Draining);
        drain.IsCompleted.ShouldBeFalse();
        var conflict = await Should.ThrowAsync<OperationConflictException>(() => RunAsync(new PoolCommand.Undrain { PoolId = "chat" }));
        conflict.Message.ShouldContain("drain");
        held.Dispose();
        (await drain).Status.ShouldBe(OperationState.Succeeded);
        _callers.Cuts.ShouldBeEmpty();
        _world.Replica.State.ShouldBe(ReplicaState.Draining);
        (await RunAsync(new PoolCommand.Undrain { PoolId = "chat" })).Status.ShouldBe(OperationState.Succeeded);
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
    }

    [Fact(Timeout = 300_000)]
    public async Task Drain_DeadlinePasses_CutsWhatStillRuns()
    {
        await StartAsync(Mock("a"));
        using var held = _callers!.Hold(_world.Replica.Url!);
        var end = await RunAsync(new PoolCommand.Drain { PoolId = "chat", DeadlineMs = 0 });
        end.Status.ShouldBe(OperationState.Succeeded);
        _callers.Cuts.ShouldBe([_world.Replica.Url!]);
    }

    [Fact(Timeout = 300_000)]
    public async Task Preload_NotLoadedAtStart_StartsOnDemand()
    {
        _world.Options = _world.Options with { Pools = [Mock("a", "b") with { Preload = false }] };
        _world.Start();
        _world.Replica.State.ShouldBe(ReplicaState.Stopped);
        _world.Replica.LastError!.ShouldContain("on demand");
        var end = await RunAsync(new PoolCommand.Preload { PoolId = "chat", ModelRef = "b" });
        end.Status.ShouldBe(OperationState.Succeeded, end.Error);
        _world.Replica.Model.ShouldBe("b");
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
    }

    [Fact(Timeout = 300_000)]
    public async Task Idle_LongerThanItsTime_UnloadedAndStartsBySwap()
    {
        _world.Options = _world.Options with { Pools = [Mock("a", "b") with { IdleTtl = TimeSpan.FromSeconds(3) }] };
        await StartAsync();
        await _world.Until(r => r.State == ReplicaState.Stopped && r.LastError is not null, "unloaded");
        _world.Replica.LastError!.ShouldContain("idle_ttl_secs");
        await Deadline.Until(() => _world.Supervisor.Processes.IsEmpty, "its process is gone");
        var end = await RunAsync(new PoolCommand.Swap { PoolId = "chat", ReplicaName = "r0", Model = "b" });
        end.Status.ShouldBe(OperationState.Succeeded, end.Error);
    }

    [Fact(Timeout = 300_000)]
    public async Task Purge_Busy_ConflictThenForcedStopsThePool()
    {
        await StartAsync(Mock("a"));
        using var held = _callers!.Hold(_world.Replica.Url!);
        await Should.ThrowAsync<OperationConflictException>(() => RunAsync(new PoolCommand.Purge { PoolId = "chat", DrainFirst = false }));
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
        var end = await RunAsync(new PoolCommand.Purge { PoolId = "chat", DrainFirst = false, Force = true });
        end.Status.ShouldBe(OperationState.Succeeded, end.Error);
        _world.Replica.State.ShouldBe(ReplicaState.Stopped);
        _world.Supervisor.Processes.ShouldBeEmpty();
    }

    [Fact(Timeout = 300_000)]
    public async Task Purge_ModelOutsideOurFolder_RefusedBeforeAnythingStops()
    {
        var own = Path.Combine(_world.Folder, "own.gguf");
        DemoModelWriter.Write(own);
        var linked = Path.Combine(_world.Options.ModelsDir, "linked");
        Directory.CreateDirectory(_world.Options.ModelsDir);
        var elsewhere = Path.Combine(_world.Folder, "elsewhere");
        Directory.CreateDirectory(elsewhere);
        DemoModelWriter.Write(Path.Combine(elsewhere, "far.gguf"));
        Directory.CreateSymbolicLink(linked, elsewhere);
        _world.Options = _world.Options with { Models = _world.Options.Models.Add("own", new ModelPlan("own", "file:" + own)) };
        await StartAsync(Mock("a"));
        foreach (var id in new[] { "own", "far" })
        {
            var end = await RunAsync(new PoolCommand.Purge { PoolId = "chat", PurgeModels = [id] });
            end.Status.ShouldBe(OperationState.Failed);
            end.Error!.ShouldContain("your own file");
        }

        File.Exists(own).ShouldBeTrue();
        File.Exists(Path.Combine(elsewhere, "far.gguf")).ShouldBeTrue();
        _world.Replica.State.ShouldBe(ReplicaState.Ready);
    }

    [Fact(Timeout = 600_000)]
    public async Task Reload_BrokenGguf_RolledBackAndTheOldModelNeverStopsAnswering()
    {
        // Installed once for all runs: the packages are large.
        _world.Options = _world.Options with { CacheDir = Path.Combine(Repository.Root, "artifacts", "embedded-tests", "node-cache") };
        var good = Path.Combine(_world.Folder, "good.gguf");
        DemoModelWriter.Write(good);
        var header = Path.Combine(_world.Folder, "header.gguf");
        await File.WriteAllBytesAsync(header, "GGUF-not really a model"u8.ToArray());
        var tail = Path.Combine(_world.Folder, "tail.gguf");
        await File.WriteAllBytesAsync(tail, (await File.ReadAllBytesAsync(good))[..^100_000]);
        await StartAsync(new PoolPlan { Id = "chat", Engine = EnginePlan.Embedded, Slots = 2, Models = ["demo"] }, TimeSpan.FromMinutes(5));
        using var stop = new CancellationTokenSource();
        var loop = _callers!.LoopAsync(stop.Token);
        foreach (var broken in new[] { header, tail })
        {
            var end = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "file:" + broken });
            end.Status.ShouldBe(OperationState.RolledBack);
            TestContext.Current.TestOutputHelper!.WriteLine(end.Error!);
            (await _callers.AskAsync(CancellationToken.None)).Model.ShouldBe("demo");
        }

        var reload = await RunAsync(new PoolCommand.Reload { PoolId = "chat", NewModelRef = "file:" + good });
        reload.Status.ShouldBe(OperationState.Succeeded, reload.Error);
        await stop.CancelAsync();
        (await loop)["demo"].ShouldBeGreaterThan(0);
        (await _callers.AskAsync(CancellationToken.None)).Model.ShouldBe("good");
    }

    [Fact(Timeout = 600_000)]
    public async Task PreparedThenPurged_EmbeddedEngine_TheHandedModelAnswersThenNothingOfItIsLeft()
    {
        var plan = new PoolPlan { Id = "chat", Engine = EnginePlan.Embedded, Slots = 2, Models = ["demo"], Aliases = ["talk"] };
        var installed = await InstalledAsync(plan);
        var good = Path.Combine(_world.Folder, "good.gguf");
        DemoModelWriter.Write(good);
        await StartAsync(plan, TimeSpan.FromMinutes(5));
        var document = new HandoffDocument { PoolId = "chat", ReplicaId = "r0", Model = new HandoffModel("good", good), BinaryPath = installed.Program, Slots = 2 };

        var other = await RunAsync(new PoolCommand.Preload { PoolId = "chat", Prepared = document with { BinaryPath = "/bin/sh" } });
        other.Status.ShouldBe(OperationState.Failed);
        other.Error!.ShouldContain("/bin/sh");
        (await _callers!.AskAsync(CancellationToken.None)).Model.ShouldBe("demo");
        var end = await RunAsync(new PoolCommand.Preload { PoolId = "chat", Prepared = document });
        end.Status.ShouldBe(OperationState.Succeeded, end.Error);
        (await _callers.AskAsync(CancellationToken.None)).Model.ShouldBe("good");
        _world.Replica.MainModel.ShouldBe("good", "the pool's alias leads there");

        var purge = await RunAsync(new PoolCommand.Purge { PoolId = "chat", PurgeEngine = true, DeleteCacheDirs = true, PurgeModels = ["demo"] });
        purge.Status.ShouldBe(OperationState.Succeeded, purge.Error);
        _world.Replica.State.ShouldBe(ReplicaState.Stopped);
        Directory.EnumerateDirectories(Path.Combine(_world.Options.CacheDir, "engines")).ShouldBeEmpty();
        Directory.EnumerateFiles(_world.Options.ModelsDir, "*.gguf", SearchOption.AllDirectories).ShouldBeEmpty();
        File.Exists(good).ShouldBeTrue("a file of the user's is not Loom's to delete");
    }

    // The packages are large: installed once for all runs, and copied for a test that deletes them.
    private async Task<PreparedEngine> InstalledAsync(PoolPlan plan)
    {
        using var provisioner = _world.NewProvisioner(o => o with { CacheDir = Path.Combine(Repository.Root, "artifacts", "embedded-tests", "node-cache") });
        var engine = await provisioner.PrepareAsync(plan, new Progress<ProvisionProgress>(), CancellationToken.None);
        var target = Path.Combine(_world.Options.CacheDir, "engines", Path.GetFileName(engine.Folder!));
        foreach (var file in Directory.EnumerateFiles(engine.Folder!, "*", SearchOption.AllDirectories))
        {
            var to = Path.Combine(target, Path.GetRelativePath(engine.Folder!, file));
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(file, to);
        }

        return engine;
    }

    private static PoolPlan Mock(params string[] models) =>
        new() { Id = "chat", Engine = new EnginePlan { Name = "mock", Kind = EngineKinds.Mock }, Models = [.. models], DeviceMask = ["none"] };

    /// <summary>The mock engine behind a command line of the user's; it dies with a model named <c>broken</c>.</summary>
    private PoolPlan Command(int replicas) => new()
    {
        Id = "chat",
        Replicas = replicas,
        Models = ["a"],
        DeviceMask = ["none"],
        Engine = new EnginePlan
        {
            Name = "own",
            Kind = EngineKinds.Command,
            Command =
            [
                "sh", "-c", "[ \"$1\" = broken ] && exit 3; exec \"$0\" dev mock-engine --port {port} --slots {slots} --model \"$1\"",
                _world.Options.LoomProgram, "{model}",
            ],
        },
    };

    private async Task StartAsync(PoolPlan? pool = null, TimeSpan? limit = null)
    {
        if (pool is not null)
        {
            _world.Options = _world.Options with { Pools = [pool] };
        }

        _world.Start(agent => _callers = new Callers(agent));
        await _world.Until(r => _world.Agent.Snapshot.All(one => one.State == ReplicaState.Ready), "all ready", limit ?? TimeSpan.FromSeconds(90));
    }

    private Task<OperationStatus> RunAsync(PoolCommand command) => _world.Agent.RunAsync(command, _ => { }, CancellationToken.None);

    private async Task WatchModelsAsync(List<ImmutableArray<string>> seen, CancellationToken stop)
    {
        try
        {
            await foreach (var snapshot in _world.Agent.WatchAsync(stop))
            {
                seen.Add([.. snapshot.Select(r => r.Model)]);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }
}
