using System.Collections.Concurrent;
using Loom.Node.Engines;
using Loom.Node.Provisioning;
using Loom.Processes;
using Microsoft.Extensions.Logging.Abstractions;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Node;

public sealed class EngineLoopTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(10);
    private readonly FakeEngineEffects _effects = new();
    private readonly ConcurrentQueue<EngineState> _published = new();

    [Fact]
    public async Task Start_EngineAnswers_GoesThroughProvisioningAndStartingToReady()
    {
        _effects.Facts = new EngineFacts { Version = "v1" };
        await using var loop = await ReadyAsync();
        _published.Select(s => s.GetType().Name).Distinct().ShouldBe(["Provisioning", "Starting", "Ready"]);
        _published.OfType<EngineState.Ready>().Last().Facts.Version.ShouldBe("v1");
        _effects.Calls.ShouldContain("add 28080");
    }

    [Fact]
    public async Task ReportFault_ProbeFails_UnreadyUntilAProbeSucceeds()
    {
        _effects.Probes.Enqueue("connection refused");
        _effects.Probes.Enqueue(null);
        await using var loop = await ReadyAsync();
        loop.ReportFault("reset");
        await Until(loop, s => s is EngineState.Unready { Reason: "connection refused" } or EngineState.Ready);
        await WaitForCallsAsync(loop, "probe", 2);
        await Until(loop, s => s is EngineState.Ready);
        _published.OfType<EngineState.Unready>().ShouldHaveSingleItem().Reason.ShouldBe("connection refused");
    }

    [Fact]
    public async Task Crash_RestartPending_UnreadyWithLastWordsThenReadyAgain()
    {
        await using var loop = await ReadyAsync();
        _effects.Tell(ProcessState.Backoff, 1, "killed by signal 9", TimeSpan.FromSeconds(1));
        await Until(loop, s => s is EngineState.Unready u && u.Reason.Contains("cosmic ray"));
        _effects.Tell(ProcessState.Starting, 2);
        _effects.Tell(ProcessState.Ready, 2);
        await Until(loop, s => s is EngineState.Ready { Run.Spawn: 2 });
    }

    [Fact]
    public async Task Crash_BreakerOpen_FailedWithTheTimeOfTheTrial()
    {
        await using var loop = await ReadyAsync();
        _effects.Tell(ProcessState.Backoff, 5, "exit code 1", TimeSpan.FromSeconds(300));
        await Until(loop, s => s is EngineState.Failed f && f.Reason.Contains("next trial at 03:09:05"));
        _effects.Tell(ProcessState.Starting, 6);
        await Until(loop, s => s is EngineState.Starting);
    }

    [Fact]
    public async Task Crash_PortTakenMeanwhile_MovesToTheNextPort()
    {
        await using var loop = await ReadyAsync();
        _effects.Taken = port => port == 28080;
        _effects.Tell(ProcessState.Backoff, 1, "exit code 1", TimeSpan.FromSeconds(1));
        await Until(loop, s => s is EngineState.Starting { Run.Port: 28081, Run.Spawn: 1 });
        _effects.Tell(ProcessState.Ready);
        await Until(loop, s => s is EngineState.Ready { Run.Port: 28081 });
    }

    [Fact]
    public async Task Exit_ZeroUnasked_StopsWithTheReason()
    {
        await using var loop = await ReadyAsync();
        _effects.Tell(ProcessState.Completed, 1);
        await Until(loop, s => s is EngineState.Stopped { Reason: { } reason } && reason.Contains("code 0"));
    }

    [Fact]
    public async Task Prepare_PermanentFailure_FailedUntilStartedAgain()
    {
        _effects.Prepare = () => throw new ProvisionException(ProvisionExit.BadModel, "truncated file");
        await using var loop = Loop();
        loop.Start();
        await Until(loop, s => s is EngineState.Failed { Reason: "truncated file" });
        _effects.Prepare = () => Task.FromResult(Fixtures.Prepared);
        loop.Start();
        await Until(loop, s => s is EngineState.Starting { Run.Spawn: 1 });
    }

    [Fact]
    public async Task Stop_WhilePreparing_CancelsAndLeavesNothing()
    {
        _effects.Prepare = () => new TaskCompletionSource<PreparedEngine>(TaskCreationOptions.RunContinuationsAsynchronously).Task;
        await using var loop = Loop();
        loop.Start();
        await Until(loop, s => s is EngineState.Provisioning);
        await loop.StopAsync(CancellationToken.None).WaitAsync(s_deadline);
        _effects.Calls.ShouldNotContain(c => c.StartsWith("add"));
    }

    [Fact]
    public async Task Stop_Running_RemovesTheProcessAndGivesThePortBack()
    {
        await using var loop = await ReadyAsync();
        await loop.StopAsync(CancellationToken.None).WaitAsync(s_deadline);
        _effects.Calls.Reverse().Take(2).ShouldBe(["release", "remove"]);
        _published.Last().ShouldBe(new EngineState.Stopped(null));
    }

    [Fact]
    public async Task Stop_LoopEndedByAnError_RemovesTheProcessAndReturns()
    {
        await using var loop = new EngineLoop("chat/r0", new EngineMachine(new EngineRestartPolicy()), _effects,
            state =>
            {
                if (state is EngineState.Ready)
                {
                    throw new NotSupportedException("a reader that breaks its promise");
                }
            }, TimeProvider.System, NullLogger.Instance);
        loop.Start();
        await Until(loop, s => s is EngineState.Starting { Run.Spawn: 1 });
        _effects.Tell(ProcessState.Ready);
        await Should.ThrowAsync<InvalidOperationException>(Until(loop, s => s is EngineState.Stopped));
        loop.Fault.ShouldBeOfType<NotSupportedException>();
        await loop.StopAsync(CancellationToken.None).WaitAsync(s_deadline);
        _effects.Calls.Last().ShouldBe("remove");
    }

    private EngineLoop Loop() => new("chat/r0", new EngineMachine(new EngineRestartPolicy()), _effects, _published.Enqueue, TimeProvider.System,
        NullLogger.Instance);

    private async Task<EngineLoop> ReadyAsync()
    {
        var loop = Loop();
        loop.Start();
        await Until(loop, s => s is EngineState.Starting { Run.Spawn: 1 });
        _effects.Tell(ProcessState.Running);
        _effects.Tell(ProcessState.Ready);
        await Until(loop, s => s is EngineState.Ready);
        return loop;
    }

    private static Task Until(EngineLoop loop, Func<EngineState, bool> condition) => loop.WhenAsync(condition, CancellationToken.None).WaitAsync(s_deadline);

    private async Task WaitForCallsAsync(EngineLoop loop, string call, int count) =>
        await loop.WhenAsync(_ => _effects.Calls.Count(c => c == call) >= count, CancellationToken.None).WaitAsync(s_deadline);
}
