using System.Collections.Concurrent;
using System.Threading.Channels;
using Loom.Components;
using Loom.Harness.Execution;
using Shouldly;
using Xunit;

namespace Loom.Fast.Tests.Harness.Execution;

/// <summary>Sources that acknowledge, in systems that keep no state: a barrier proves that everything before it is done.</summary>
public sealed class AcknowledgementTests
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Source_StatelessSystem_IsToldOnceItsEventIsDoneAndNotBefore()
    {
        await using var queue = new Told();
        var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var inHand = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var run = queue.RunAsync(async (e, output, ct) =>
        {
            if (e.Data == 1)
            {
                inHand.TrySetResult();
                await hold.Task.WaitAsync(ct);
            }

            await output.SendAsync(e.Derive(e.Data), ct);
        });
        queue.Send(0);
        await queue.UntilAsync(0);
        queue.Send(1);
        await inHand.Task.WaitAsync(s_deadline);
        queue.Send(2);
        queue.Acknowledged.ShouldNotContain(1);
        hold.SetResult();
        await queue.UntilAsync(1);
        await queue.UntilAsync(2);
        (await queue.StopAsync(run)).ExitCode.ShouldBe(RunResult.Ended);
        queue.Acknowledged.ShouldBe([0L, 1, 2]);
        queue.Stored.Select(e => e.Data).ShouldBe([0L, 1, 2]);
    }

    [Fact]
    public async Task Source_EventBecomesADeadLetter_IsTold()
    {
        await using var queue = new Told();
        var run = queue.RunAsync(static (e, output, ct) => e.Data == 1 ? throw new ItemException("bad", "one") : output.SendAsync(e.Derive(e.Data), ct));
        queue.Send(0);
        queue.Send(1);
        await queue.UntilAsync(1);
        queue.Kit.Failures.Single().Error.Message.ShouldBe("one");
        await queue.StopAsync(run);
        queue.Acknowledged.ShouldBe([0L, 1]);
    }

    [Fact]
    public async Task Source_StartsAgainWhileEventsAreUnderWay_WhatItHadSentIsStillTold()
    {
        await using var queue = new Told();
        var hold = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var run = queue.RunAsync(async (e, output, ct) =>
        {
            await hold.Task.WaitAsync(ct);
            await output.SendAsync(e.Derive(e.Data), ct);
        });
        queue.Send(0);
        queue.Send(-1); // fails the source
        await queue.Instances.Reader.ReadAsync().AsTask().WaitAsync(s_deadline);
        await queue.Instances.Reader.ReadAsync().AsTask().WaitAsync(s_deadline);
        queue.Acknowledged.ShouldBeEmpty();
        hold.SetResult();
        await queue.UntilAsync(0);
        (await queue.StopAsync(run)).ExitCode.ShouldBe(RunResult.Ended);
    }

    [Fact]
    public async Task Source_ThousandsOfEvents_EachIsToldOnceInOrder()
    {
        await using var queue = new Told();
        var run = queue.RunAsync(static (e, output, ct) => output.SendAsync(e.Derive(e.Data), ct));
        for (var n = 0; n < 20_000; n++)
        {
            queue.Send(n);
        }

        await queue.UntilAsync(19_999);
        await queue.StopAsync(run);
        queue.Acknowledged.ShouldBe(Enumerable.Range(0, 20_000).Select(static n => (long)n));
    }

    [Fact]
    public async Task Source_EventGoesRoundALoop_IsToldOnceItHasLeftIt()
    {
        await using var queue = new Told();
        var (rounds, release) = (0, false);
        var run = queue.RunAsync(b => b
            .Add("apply", () => new Round(() => Interlocked.Increment(ref rounds) > 0 && !Volatile.Read(ref release)))
            .Bind("apply.again", "apply.in", static l => l with { Feedback = true, MaxInFlight = 4 }));
        queue.Send(0);
        await Loom.Testing.Deadline.Until(() => Volatile.Read(ref rounds) > 100_000, "it goes round");
        queue.Acknowledged.ShouldBeEmpty();
        Volatile.Write(ref release, true);
        await queue.UntilAsync(0);
        queue.Stored.Single().Data.ShouldBe(0);
        await queue.StopAsync(run);
    }

    [Fact]
    public async Task Source_AcknowledgementThatFails_KeepsNoOtherFromBeingTold()
    {
        await using var queue = new Told { Refused = 1 };
        var run = queue.RunAsync(static (e, output, ct) => output.SendAsync(e.Derive(e.Data), ct));
        foreach (var number in new[] { 0, 1, 2, 3 })
        {
            queue.Send(number);
        }

        await queue.UntilAsync(3);
        (await queue.StopAsync(run)).ExitCode.ShouldBe(RunResult.Ended);
        queue.Acknowledged.ShouldBe([0L, 2, 3]);
    }

    [Output("out", typeof(long))]
    [Output("again", typeof(long))]
    private sealed class Round(Func<bool> again) : StreamProcessor<long, long>
    {
        protected internal override IReadOnlyList<string> Outputs => ["out", "again"];

        protected override ValueTask OnItemAsync(string port, Event<long> e, Emitter<long> output, CancellationToken ct) =>
            output.SendAsync(again() ? "again" : "out", e, ct);
    }

    // A queue outside that forgets what is acknowledged.
    private sealed class Told : IAsyncDisposable
    {
        private readonly Channel<long> _sent = Channel.CreateUnbounded<long>();
        private readonly CancellationTokenSource _stop = new();
        private readonly SemaphoreSlim _told = new(0);

        public RunKit Kit { get; } = new();

        public List<Event<long>> Stored { get; } = [];

        public ConcurrentQueue<long> Acknowledged { get; } = [];

        public Channel<int> Instances { get; } = Channel.CreateUnbounded<int>();

        public void Send(long number) => _sent.Writer.TryWrite(number);

        /// <summary>An event whose acknowledgement fails.</summary>
        public long Refused { get; init; } = -1;

        public Task<RunResult> RunAsync(Func<Event<long>, Emitter<long>, CancellationToken, ValueTask> handle) =>
            RunAsync(b => b.Add("apply", () => new Apply(handle)));

        public Task<RunResult> RunAsync(Func<HarnessBuilder, HarnessBuilder> apply) => Kit.RunAsync(
            apply(new HarnessBuilder("told").Add("queue", () => new Queue(this), c => c with { Restart = c.Restart with { Backoff = TimeSpan.FromMilliseconds(1) } }))
                .Add("keep", () => new Keep(Stored))
                .Bind("queue.out", "apply.in")
                .Bind("apply.out", "keep.in"),
            _stop.Token);

        public async Task UntilAsync(long number)
        {
            while (!Acknowledged.Contains(number))
            {
                (await _told.WaitAsync(s_deadline)).ShouldBeTrue($"nothing more was acknowledged, and {number} is not");
            }
        }

        public async Task<RunResult> StopAsync(Task<RunResult> run)
        {
            await _stop.CancelAsync();
            return await run.WaitAsync(s_deadline);
        }

        public ValueTask DisposeAsync()
        {
            _stop.Dispose();
            _told.Dispose();
            return default;
        }

        [Component("test.queue", Acknowledges = true)]
        private sealed class Queue : Source<long>
        {
            private readonly Told _told;

            public Queue(Told told)
            {
                _told = told;
                told.Instances.Writer.TryWrite(1);
            }

            protected internal override async ValueTask<Read<long>> ReadAsync(CancellationToken stopping, CancellationToken ct)
            {
                using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
                var number = await _told._sent.Reader.ReadAsync(either.Token);
                return number < 0
                    ? throw new InvalidOperationException("lost the connection")
                    : new Read<long>
                    {
                        Data = number,
                        Partition = "0",
                        Offset = number,
                        Next = number + 1,
                        Acknowledge = () =>
                        {
                            if (number == _told.Refused)
                            {
                                throw new InvalidOperationException("the broker does not know it any more");
                            }

                            _told.Acknowledged.Enqueue(number);
                            _told._told.Release();
                            return default;
                        },
                    };
            }
        }
    }
}
