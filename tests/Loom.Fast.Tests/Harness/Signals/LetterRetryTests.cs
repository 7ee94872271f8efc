using System.Text.Json;
using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Errors;
using Loom.Harness.Execution;
using Loom.Testing;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Signals;

public sealed class LetterRetryTests
{
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<Event<long>> _kept = [];

    private static DeadLetter Letter(string id, string component, string payload, string port = "in") => new(
        new ErrorRecord
        {
            ErrorId = id, Time = default, System = "s", Version = "1", Component = component, Instance = "i", Port = port, Event = new ErrorEvent("numbers::" + id, "k", DateTimeOffset.UnixEpoch),
            Attempt = 1, Code = "odd", Message = "odd", Exceptions = [], Retryable = false, Mock = true,
        },
        new Dictionary<string, string> { ["h"] = "v" },
        JsonElement.Parse(payload));

    private HarnessBuilder Line<T>(Func<T> middle)
        where T : Component => new HarnessBuilder("line").Add("numbers", () => new Waits(_end.Task)).Add("middle", middle).Add("keep", () => new Keep(_kept))
        .Bind("numbers.out", "middle.in").Bind("middle.out", "keep.in");

    private async Task<(RunKit Kit, SystemAssembly Assembly)> RunAsync<T>(Func<T> middle, Func<SystemAssembly, Task> meanwhile)
        where T : Component
    {
        var kit = new RunKit();
        using var assembly = kit.Assemble(Line(middle));
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        assembly.Run.Started = started.SetResult;
        var run = assembly.Run.RunAsync(new RunTokens(default, default));
        await started.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await Deadline.Until(() => assembly.Run.Hosts.All(h => h.State == ComponentState.Running), "all run");
        await meanwhile(assembly);
        _end.SetResult();
        (await run.WaitAsync(TimeSpan.FromSeconds(60))).ExitCode.ShouldBe(0);
        return (kit, assembly);
    }

    [Fact]
    public async Task Send_TypedComponent_EventAsItWasAndDone()
    {
        var (_, assembly) = await RunAsync(
            () => new Apply((e, output, ct) => output.SendAsync(e.Derive(e.Data * 2), ct)),
            async a => (await new LetterRetry(a).SendAsync([Letter("1", "middle", "21"), Letter("2", "middle", "4")], default)).ShouldBe(["1", "2"]));

        _kept.Select(e => (e.Data, e.Id.ToString(), e.Key, e.Mock, e.Headers["h"])).ShouldBe([(42, "numbers::1/0", "k", true, "v"), (8, "numbers::2/0", "k", true, "v")]);
        var counters = assembly.Run.Hosts.Single(h => h.Plan.Name == "middle").Loop.Counters;
        (counters.Taken, counters.Done, counters.Failed).ShouldBe((2, 2, 0));
    }

    [Fact]
    public async Task Send_FailsAgain_OneNewFailureAndTheOldIsDone()
    {
        var (kit, _) = await RunAsync(
            () => new Apply((_, _, _) => throw new ItemException("odd", "again")),
            async a => (await new LetterRetry(a).SendAsync([Letter("1", "middle", "21")], default)).ShouldBe(["1"]));

        kit.Failures.ShouldHaveSingleItem().Id.ToString().ShouldBe("numbers::1");
        _kept.ShouldBeEmpty();
    }

    [Fact]
    public async Task Send_WhatNobodyTakes_StaysALetter() => await RunAsync(
        () => new Apply((e, output, ct) => output.SendAsync(e.Derive(e.Data), ct)),
        async a => (await new LetterRetry(a).SendAsync(
            [Letter("1", "gone", "1"), Letter("2", "middle", "1", port: "side"), Letter("3", "numbers", "1", port: "out"), Letter("4", "middle", "\"no number\"")], default)).ShouldBeEmpty());

    [Fact]
    public async Task Send_ComponentWithALoopOfItsOwn_TakesItBetweenTwoEvents()
    {
        var (_, assembly) = await RunAsync(
            () => new OwnLoop(),
            async a => (await new LetterRetry(a).SendAsync([Letter("1", "middle", "21"), Letter("2", "middle", "22")], default)).ShouldBe(["1", "2"]));

        _kept.Select(e => e.Data).ShouldBe([121, 122]);
        assembly.Run.Hosts.Single(h => h.Plan.Name == "middle").Loop.Counters.Done.ShouldBe(2);
    }

    [Fact]
    public async Task Send_AfterTheEnd_Refused()
    {
        var (_, assembly) = await RunAsync(() => new Apply((e, output, ct) => output.SendAsync(e.Derive(e.Data), ct)), _ => Task.CompletedTask);

        (await new LetterRetry(assembly).SendAsync([Letter("1", "middle", "1")], default)).ShouldBeEmpty();
    }

    private sealed class Waits(Task end) : Source<long>
    {
        protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
        {
            await end.WaitAsync(ct);
            return Read<long>.End;
        }
    }

    [Input("in", typeof(long))]
    [Output("out", typeof(long))]
    private sealed class OwnLoop : Component
    {
        protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
        {
            var (input, output) = (ctx.In<long>(), ctx.Out<long>());
            while (await input.WaitToReadAsync(ct))
            {
                while (input.TryRead(out var e))
                {
                    await output.SendAsync(e.Derive(e.Data + 100), ct);
                }
            }
        }
    }
}
