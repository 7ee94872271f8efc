using System.Text.Json;
using Loom.Components;
using Loom.Harness.Commands;
using Loom.Harness.Execution;
using Loom.Testing;
using Loom.Testing.Harness;
using Shouldly;

namespace Loom.SystemTests.Harness.Drills;

/// <summary>
/// The rows of section 5's table about setup, cleanup, a second signal and programs, each as one run of three components that own a file each; whatever goes wrong, every file is closed.
/// </summary>
/// <param name="dedicated">Whether the components have threads of their own.</param>
internal sealed class LifecycleEdges(bool dedicated)
{
    // Where nothing hangs nothing may be taken for hanging, however busy the machine is.
    private static readonly LifecycleTimes s_long = new() { Setup = TimeSpan.FromSeconds(60), Cleanup = TimeSpan.FromSeconds(60), Cancel = TimeSpan.FromSeconds(60) };
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(1);

    private readonly TaskCompletionSource _over = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _log = [];
    private int _open;

    private enum Fault
    {
        None,
        Throws,
        Hangs,
        HangsInDispose,
    }

    /// <summary>Setup of the third throws: what it had opened is closed, the other two are cleaned up in reverse, nothing has run, 1.</summary>
    public Task<WeakReference> SetupThrowsAsync() => SetupAsync(Fault.Throws, "setup of \"c2\" failed: no setup");

    /// <summary>The same where it takes longer than it may.</summary>
    public Task<WeakReference> SetupTooLongAsync() => SetupAsync(Fault.Hangs, "setup of \"c2\" failed: setup of \"c2\" took longer than 1 s");

    /// <summary>Two cleanups throw: all run, both are told, 1.</summary>
    public Task<WeakReference> CleanupThrowsAsync() => CleanupAsync(Fault.Throws, "no cleanup of c0", "no cleanup of c1");

    /// <summary>Two cleanups take longer than they may.</summary>
    public Task<WeakReference> CleanupTooLongAsync() => CleanupAsync(Fault.Hangs, "cleanup of \"c0\" took longer than 1 s", "cleanup of \"c1\" took longer than 1 s");

    /// <summary>What two had opened does not close.</summary>
    public Task<WeakReference> OwnedNeverClosesAsync() =>
        CleanupAsync(Fault.HangsInDispose, "disposal of what \"c0\" had opened took longer than 1 s", "disposal of what \"c1\" had opened took longer than 1 s");

    /// <summary>The second signal while events flow: cancelled at once, cleaned up; the program ends with 128 + n, as the signal drill shows.</summary>
    public async Task<WeakReference> SecondSignalAsync()
    {
        using var force = new CancellationTokenSource();
        var (run, result) = await RunAsync(Chain(int.MaxValue, force), s_long, force: force.Token);
        result.ExitCode.ShouldBe(RunResult.Abandoned);
        result.Reason.ShouldBe("cancelled");
        result.Errors.ShouldBeEmpty();
        _log.ShouldBe(["c2", "c1", "c0"]);
        return run;
    }

    /// <summary>A program that ends well, one that crashes again and again until its component fails, and one that heeds no end: its process is killed.</summary>
    public async Task<WeakReference> ProgramsAsync(CommandStage stage)
    {
        var (run, result) = await RunAsync(With(stage, "return event.data"), s_long);
        (result.ExitCode, result.Reason).ShouldBe((RunResult.Ended, "ended"));
        (_, result) = await RunAsync(With(stage, "import os; os._exit(3)"), s_long);
        result.ExitCode.ShouldBe(RunResult.Failed, result.Reason);
        using var stop = new CancellationTokenSource();
        var asked = Path.Combine(stage.Folder, "asked");
        File.Delete(asked);
        (_, result) = await RunAsync(With(stage, "import time; open('asked', 'w').close(); time.sleep(600)"), LifecycleRows.s_short with { Setup = s_long.Setup, Cleanup = s_limit }, stop: stop, asked: asked);
        result.ExitCode.ShouldBe(RunResult.Abandoned);
        await Deadline.Until(() => stage.Supervisor.Processes.IsEmpty, "its process is killed");
        return run;
    }

    private HarnessBuilder With(CommandStage stage, string body)
    {
        var program = stage.Program("part.py", $"""
            import loom_component as loom
            @loom.item
            def part(event):
                {body}
            loom.run()
            """);
        var plan = CommandStage.Plan("part", program);
        return new HarnessBuilder("programs").Add("c0", () => new Words()).Add("part", () => new CommandComponent(plan, stage.Around()), _ => plan).Bind("c0.out", "part.in");
    }

    private async Task<WeakReference> SetupAsync(Fault fault, string reason)
    {
        var (run, result) = await RunAsync(Chain(10, null, third: fault), fault == Fault.Hangs ? s_long with { Setup = s_limit } : s_long);
        result.ExitCode.ShouldBe(RunResult.Failed);
        result.Reason.ShouldBe(reason);
        result.Errors.Count.ShouldBe(1);
        _log.ShouldBe(["c1", "c0"], "cleanup");
        return run;
    }

    private async Task<WeakReference> CleanupAsync(Fault fault, params string[] errors)
    {
        var (run, result) = await RunAsync(Chain(10, null, others: fault), fault == Fault.Throws ? s_long : s_long with { Cleanup = s_limit });
        (result.ExitCode, result.Reason).ShouldBe((RunResult.Failed, "cleanup failed"));
        result.Errors.Select(e => e.Message).ShouldBe(errors, ignoreOrder: true);
        _log.ShouldBe(["c2", "c1", "c0"]);
        return run;
    }

    private HarnessBuilder Chain(int items, CancellationTokenSource? forcing, Fault third = Fault.None, Fault others = Fault.None) =>
        new HarnessBuilder("edges")
            .Add("c0", () => new From(this, "c0", items) { Fails = others }, p => p with { Dedicated = dedicated })
            .Add("c1", () => new Into(this, "c1", null) { Fails = others }, p => p with { Dedicated = dedicated })
            .Add("c2", () => new Into(this, "c2", forcing) { SetupFails = third }, p => p with { Dedicated = dedicated })
            .Bind("c0.out", "c1.in").Bind("c0.out", "c2.in");

    private async Task<(WeakReference Run, RunResult Result)> RunAsync(
        HarnessBuilder builder, LifecycleTimes times, CancellationToken force = default, CancellationTokenSource? stop = null, string? asked = null)
    {
        await using var run = await CodedRun.LoadAsync(builder, new CodedSurroundings { Times = times });
        var running = run.RunAsync(stop?.Token ?? default, force);
        if (asked is not null)
        {
            await Deadline.Until(() => running.IsCompleted || File.Exists(asked), "the program is asked");
            await stop!.CancelAsync();
        }

        var result = await running;
        _over.TrySetResult();
        await Deadline.Until(() => Volatile.Read(ref _open) == 0, "everything that was opened is closed");
        return (new WeakReference(run.Assembly), result);
    }

    /// <summary>What a component registered: a file, so that one that stays open is seen in /proc too.</summary>
    private sealed class Opened : IAsyncDisposable
    {
        private readonly LifecycleEdges _row;
        private readonly bool _hangs;
        private readonly FileStream _file = new("/dev/null", FileMode.Open, FileAccess.Read);

        public Opened(LifecycleEdges row, bool hangs)
        {
            (_row, _hangs) = (row, hangs);
            Interlocked.Increment(ref row._open);
        }

        public async ValueTask DisposeAsync()
        {
            await (_hangs ? _row._over.Task : Task.CompletedTask);
            await _file.DisposeAsync();
            Interlocked.Decrement(ref _row._open);
        }
    }

    private async ValueTask SetUpAsync(SetupContext ctx, Fault setup, Fault fails)
    {
        ctx.Own(new Opened(this, fails == Fault.HangsInDispose));
        switch (setup)
        {
            case Fault.Throws:
                throw new InvalidOperationException("no setup");
            case Fault.Hangs:
                await _over.Task;

                // Nobody waits for this setup any more; what it opens now must not stay open either.
                Should.Throw<ObjectDisposedException>(() => ctx.Own(new Opened(this, hangs: false)));
                break;
        }
    }

    private async ValueTask CleanUpAsync(string name, Fault fails)
    {
        _log.Add(name);
        switch (fails)
        {
            case Fault.Throws:
                throw new InvalidOperationException($"no cleanup of {name}");
            case Fault.Hangs:
                await _over.Task;
                break;
        }
    }

    [Component("edges.from", Type = ComponentType.Source)]
    private sealed class From(LifecycleEdges row, string name, int count) : Source<long>
    {
        private int _next;

        public Fault Fails { get; init; }

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct) => row.SetUpAsync(ctx, Fault.None, Fails);

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) => row.CleanUpAsync(name, Fails);

        protected internal override ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            new(_next < count ? Read<long>.Item(_next, _next, ++_next) : Read<long>.End);
    }

    [Component("edges.words", Type = ComponentType.Source)]
    private sealed class Words : Source<JsonElement>
    {
        private int _next;

        protected internal override ValueTask<Read<JsonElement>> ReadAsync(CancellationToken stopping, CancellationToken ct) =>
            new(_next < 3 ? Read<JsonElement>.Item(JsonElement.Parse($"{_next}"), _next, ++_next) : Read<JsonElement>.End);
    }

    [Component("edges.into", Type = ComponentType.Sink)]
    private sealed class Into(LifecycleEdges row, string name, CancellationTokenSource? forcing) : Sink<long>
    {
        public Fault SetupFails { get; init; }

        public Fault Fails { get; init; }

        protected internal override ValueTask SetupAsync(SetupContext ctx, CancellationToken ct) => row.SetUpAsync(ctx, SetupFails, Fails);

        protected internal override ValueTask CleanupAsync(CleanupContext ctx, CancellationToken ct) => row.CleanUpAsync(name, Fails);

        protected override async ValueTask OnItemAsync(Event<long> e, CancellationToken ct)
        {
            if (e.Data == 3000 && forcing is not null)
            {
                await forcing.CancelAsync();
            }
        }
    }
}
