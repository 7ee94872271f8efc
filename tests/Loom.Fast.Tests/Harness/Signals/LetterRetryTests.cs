using System.Text.Json;
using Loom.Components;
using Loom.Fast.Tests.Harness.Execution;
using Loom.Harness.Architecture;
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

    internal static DeadLetter Letter(string id, string component, string payload, string port = "in") => new(
        new ErrorRecord
        {
            ErrorId = id, Time = default, System = "s", Version = "1", Component = component, Instance = "i", Port = port, Event = new ErrorEvent("numbers::" + id, "k", DateTimeOffset.UnixEpoch),
            Attempt = 1, Code = "odd", Message = "odd", Exceptions = [], Retryable = false, Mock = true,
        },
        new Dictionary<string, string> { ["h"] = "v" },
        JsonElement.Parse(payload));

    private HarnessBuilder Line<T>(Func<T> middle, Func<ComponentPlan, ComponentPlan>? with)
        where T : Component => new HarnessBuilder("line").Add("numbers", () => new Waits(_end.Task)).Add("middle", middle, with).Add("keep", () => new Keep(_kept))
        .Bind("numbers.out", "middle.in").Bind("middle.out", "keep.in");

    private async Task<(RunKit Kit, SystemAssembly Assembly)> RunAsync<T>(Func<T> middle, Func<SystemAssembly, Task> meanwhile, Func<ComponentPlan, ComponentPlan>? with = null, TimeProvider? time = null)
        where T : Component
    {
        var kit = new RunKit { Time = time ?? TimeProvider.System };
        using var assembly = kit.Assemble(Line(middle, with));
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        assembly.Run.Started = started.SetResult;
        var run = assembly.Run.RunAsync(new RunTokens(default, default));
        await started.Task.WaitAsync(TimeSpan.FromSeconds(180));
        await Deadline.Until(() => assembly.Run.Hosts.All(h => h.State == ComponentState.Running), "all run");
        await meanwhile(assembly);
        _end.SetResult();
        (await run.WaitAsync(TimeSpan.FromSeconds(180))).ExitCode.ShouldBe(0);
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
    public async Task Send_LetterWhoseRecordMasksTheKey_ComponentGetsTheKeyAsItWas()
    {
        var letter = Letter("1", "middle", "21");
        letter = letter with { Record = letter.Record with { Event = letter.Record.Event with { Key = "[redacted:field 1]" } }, Key = "078-05-1120" };
        letter = DeadLetterLine.Read(DeadLetterLine.Of(letter).WrittenSpan[..^1]).Letter!;
        await RunAsync(() => new Apply((e, output, ct) => output.SendAsync(e.Derive(e.Data), ct)), async a => (await new LetterRetry(a).SendAsync([letter], default)).ShouldBe(["1"]));
        _kept.ShouldHaveSingleItem().Key.ShouldBe("078-05-1120");
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
    public async Task Send_NobodyWaitsAnyMore_WhatIsInWorkIsDoneAndTheRestStaysALetter()
    {
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await RunAsync(
            () => new Apply(async (e, output, ct) =>
            {
                begun.TrySetResult();
                await goOn.Task;
                await output.SendAsync(e.Derive(e.Data), ct);
            }),
            async a =>
            {
                using var gone = new CancellationTokenSource();
                var retry = new LetterRetry(a);
                var sending = retry.SendAsync([Letter("1", "middle", "21"), Letter("2", "middle", "22"), Letter("3", "middle", "23")], gone.Token);
                await begun.Task.WaitAsync(TimeSpan.FromSeconds(180));
                await gone.CancelAsync();
                await Deadline.Until(() => retry.NotTried == 2, "those not begun are taken back");
                goOn.SetResult();

                (await sending).ShouldBe(["1"]);
                await Should.ThrowAsync<OperationCanceledException>(async () => await retry.SendAsync([Letter("4", "middle", "24")], gone.Token));
            });

        _kept.Select(e => e.Data).ShouldBe([21]);
    }

    [Fact]
    public async Task Send_AfterTheEnd_Refused()
    {
        var (_, assembly) = await RunAsync(() => new Apply((e, output, ct) => output.SendAsync(e.Derive(e.Data), ct)), _ => Task.CompletedTask);

        (await new LetterRetry(assembly).SendAsync([Letter("1", "middle", "1")], default)).ShouldBeEmpty();
    }

    [Fact]
    public async Task Send_ComponentThatHandlesBatchesAlone_ABatchOfOneForEach()
    {
        var (kit, assembly) = await RunAsync(
            () => new BatchesAlone(),
            async a => (await new LetterRetry(a).SendAsync([Letter("1", "middle", "21"), Letter("2", "middle", "-1"), Letter("3", "middle", "22")], default)).ShouldBe(["1", "2", "3"]),
            p => p with { Mode = ProcessingMode.Batch, Batching = new BatchingPlan { MaxItems = 10, MaxWait = TimeSpan.FromHours(1) } });

        _kept.Select(e => e.Data).ShouldBe([121, 122]);
        kit.Failures.ShouldHaveSingleItem().Id.ToString().ShouldBe("numbers::2");
        var counters = assembly.Run.Hosts.Single(h => h.Plan.Name == "middle").Loop.Counters;
        (counters.Taken, counters.Done, counters.Failed).ShouldBe((3, 2, 1));
    }

    [Fact]
    public async Task Send_ComponentThatDoesNotComeToThem_OneDeadlineForAllOfTheRequest()
    {
        var time = new ManualTimeProvider();
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await RunAsync(
            () => new Apply(async (e, output, ct) =>
            {
                await release.Task.WaitAsync(ct);
                await output.SendAsync(e.Derive(e.Data), ct);
            }),
            async a =>
            {
                var retry = new LetterRetry(a);
                var sending = retry.SendAsync([.. Enumerable.Range(1, 1000).Select(n => Letter($"{n}", "middle", $"{n}"))], default).AsTask();
                await Deadline.Until(() => a.Run.Hosts.Single(h => h.Plan.Name == "middle").Loop.Counters.Taken == 1, "the first is in hand");
                time.Advance(LetterRetry.Patience);
                await Deadline.Until(() => retry.NotTried == 999, "the others were taken back");
                release.SetResult();
                (await sending.WaitAsync(TimeSpan.FromSeconds(180))).ShouldBe(["1"]);
                retry.NotTried.ShouldBe(999);
                (await retry.SendAsync([Letter("x", "middle", "7")], default)).ShouldBeEmpty();
                retry.NotTried.ShouldBe(1000);
            },
            time: time);

        _kept.ShouldHaveSingleItem().Data.ShouldBe(1);
    }

    [Fact]
    public async Task Send_ComponentEndsWithItInHand_StaysALetter() => await RunAsync(
        () => new LeavesEarly(),
        async a => (await new LetterRetry(a).SendAsync([Letter("1", "middle", "21"), Letter("2", "middle", "22")], default).AsTask().WaitAsync(TimeSpan.FromSeconds(180))).ShouldBeEmpty());

    private sealed class BatchesAlone : Transformer<long, long>
    {
        protected internal override bool HandlesBatches => true;

        protected override ValueTask OnItemAsync(Event<long> e, Emitter<long> output, CancellationToken ct) => throw new NotSupportedException("batches alone");

        protected override ValueTask OnBatchAsync(Batch<long> batch, BatchEmitter<long> output, CancellationToken ct)
        {
            var only = batch.ShouldHaveSingleItem();
            if (only.Data < 0)
            {
                output.Fail(0, new ItemException("odd", "again"));
            }
            else
            {
                output.Send(0, only.Derive(only.Data + 100));
            }

            return default;
        }
    }

    [Input("in", typeof(long))]
    [Output("out", typeof(long))]
    private sealed class LeavesEarly : Component
    {
        protected internal override async Task ProcessAsync(ProcessContext ctx, CancellationToken ct)
        {
            await ctx.In<long>().WaitToReadAsync(ct);
            ctx.In<long>().TryRead(out _);
        }
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
