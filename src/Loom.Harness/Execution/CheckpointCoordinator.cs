using System.Diagnostics.CodeAnalysis;
using Loom.Components;
using Loom.Harness.Checkpoints;
using Loom.Harness.Streams;
using Loom.Harness.Telemetry;
using Microsoft.Extensions.Logging;

namespace Loom.Harness.Execution;

/// <summary>When checkpoints are taken.</summary>
/// <param name="Interval">Between two; 60 s by default.</param>
/// <param name="Items">Most events of the sources that a crash repeats; a checkpoint begins after half of them. Null: off.</param>
internal sealed record CheckpointTimes(TimeSpan Interval, long? Items)
{
    /// <summary>A checkpoint that takes longer is abandoned.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);
}

/// <summary>How checkpoints are going.</summary>
/// <param name="Taken">Complete ones in this run.</param>
/// <param name="Failed">Abandoned ones in this run.</param>
/// <param name="Last">The newest complete one; null when none.</param>
/// <param name="LastError">Why the newest attempt failed; null when it did not.</param>
/// <param name="LastDuration">From the barrier to durable.</param>
internal sealed record CheckpointsSnapshot(long Taken, long Failed, CheckpointInfo? Last, string? LastError, TimeSpan LastDuration);

/// <summary>
/// Takes consistent snapshots: asks every source for a barrier, gathers each component's part as the barrier passes it, stores the whole, and only then lets
/// sources acknowledge and sinks make visible. One at a time; a part that fails or is late abandons that checkpoint, and processing goes on.
/// Without a home nothing is stored: a barrier that has come through proves that all before it is done, which is what those who acknowledge wait for.
/// </summary>
[SuppressMessage("Design", "CA1001", Justification = "The semaphore holds nothing, and who asks for a barrier while the system ends still gets an answer.")]
internal sealed partial class CheckpointCoordinator(StateHome? home, string graphHash, CheckpointTimes times, TimeProvider time, ILogger log) : ICheckpointParts
{
    private static readonly TimeSpan s_restAfterFailure = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_restOfALoop = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan s_tellAgain = TimeSpan.FromSeconds(10);

    private readonly Lock _lock = new();
    private readonly Dictionary<string, CheckpointPart> _ended = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _one = new(1, 1);
    private readonly RepeatBound _bound = new(home is null ? null : times.Items);
    private TaskCompletionSource _wanted = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private IReadOnlyList<ComponentHost> _hosts = [];
    private IReadOnlyList<IFeedbackStream> _feedbacks = [];
    private Gathering? _gathering;
    private long _number;
    private long _lastAt = time.GetTimestamp();
    private long _asked;
    private long _confirmed;
    private long _roundEnded = time.GetTimestamp();
    private TimeSpan _rest;
    private long? _toldAt;
    private volatile CheckpointsSnapshot _snapshot = new(0, 0, null, null, TimeSpan.Zero);

    public CheckpointsSnapshot Snapshot => _snapshot;

    /// <summary>From barrier to durable.</summary>
    public LatencyHistogram Durations { get; } = new();

    /// <summary>Time since the newest complete checkpoint of this run, or since its start.</summary>
    public TimeSpan Age => time.GetElapsedTime(Interlocked.Read(ref _lastAt));

    /// <summary>Called before a checkpoint is stored: what it counts as done elsewhere, such as dead letters, becomes durable first.</summary>
    public Func<CancellationToken, ValueTask> BeforeSave { get; init; } = static _ => default;

    /// <summary>Whether what stands before a barrier is done; not once a component has lost events it had in hand, which only the positions stored before bring back.</summary>
    public bool MayConfirm => _hosts.All(h => h.Loop.Counters.Lost == 0);

    /// <summary>Nobody is told before the run has ended: under the deterministic scheduler barriers would come between events by chance.</summary>
    public bool IsConfirmedAtTheEnd { get; init; }

    /// <summary>Name of the part that holds what a feedback binding has under way; no component can have it.</summary>
    public static string FeedbackPart(Architecture.BindingPlan binding) => $"feedback-{binding.FromComponent}-{binding.FromPort}-{binding.ToComponent}-{binding.ToPort}";

    /// <param name="hosts">Who takes part.</param>
    /// <param name="feedbacks">Streams whose events under way belong to a checkpoint.</param>
    public void Watch(IReadOnlyList<ComponentHost> hosts, IReadOnlyList<IFeedbackStream> feedbacks) => (_hosts, _feedbacks) = (hosts, feedbacks);

    /// <summary>Takes checkpoints until it is cancelled.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        home?.WhenReturned(Want);
        while (true)
        {
            await PauseAsync(ct).ConfigureAwait(false);
            await ConfirmAsync(ct).ConfigureAwait(false);
        }
    }

    /// <summary>Takes one now; null when it had to be abandoned, which <see cref="Snapshot"/> explains, or when nothing is stored.</summary>
    public async Task<CheckpointInfo?> TakeAsync(CancellationToken ct) => (await RoundAsync(ct).ConfigureAwait(false)).Stored;

    /// <summary>Lets a barrier pass behind everything now; false when it did not come through, or found events in a loop that nothing keeps.</summary>
    public async Task<bool> ConfirmAsync(CancellationToken ct) => (await RoundAsync(ct).ConfigureAwait(false)).Confirmed;

    private async Task<(bool Confirmed, CheckpointInfo? Stored)> RoundAsync(CancellationToken ct)
    {
        await _one.WaitAsync(ct).ConfigureAwait(false);
        try
        {
            var start = time.GetTimestamp();
            var asked = Interlocked.Read(ref _asked);
            _bound.Began();
            var gathering = Begin();
            try
            {
                var parts = await gathering.Parts.Task.WaitAsync(CheckpointTimes.Longest, time, ct).ConfigureAwait(false);
                if (!MayConfirm)
                {
                    throw new IOException("events in hand of a component that failed are lost; they come again from the last complete checkpoint");
                }

                if (home is null && GoesRound(parts))
                {
                    // What is under way in a loop is kept nowhere: a later barrier finds it done.
                    _rest = s_restOfALoop;
                    return default;
                }

                var info = await SaveAsync(parts, start, ct).ConfigureAwait(false);
                _bound.Settled();
                Interlocked.Exchange(ref _confirmed, asked);
                _rest = time.GetElapsedTime(start);
                foreach (var host in _hosts)
                {
                    host.Loop.Commit(gathering.Barrier);
                }

                return (true, info);
            }
            catch (Exception e) when (e is not OperationCanceledException || !ct.IsCancellationRequested)
            {
                Abandon(gathering, e is TimeoutException ? $"no part within {CheckpointTimes.Longest.TotalSeconds:0} s from {MissingOf(gathering)}" : e.Message);
                return default;
            }
            finally
            {
                _roundEnded = time.GetTimestamp();
                lock (_lock)
                {
                    _gathering = null;
                }
            }
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>The checkpoint at the end of an orderly run: every component has ended.</summary>
    /// <exception cref="IOException">It could not be stored.</exception>
    public async Task TakeFinalAsync(CancellationToken ct)
    {
        var start = time.GetTimestamp();
        CheckpointPart[] parts;
        lock (_lock)
        {
            parts = [.. _ended.Values];
        }

        await SaveAsync(parts, start, ct).ConfigureAwait(false);
    }

    // Null where nothing is stored.
    private async Task<CheckpointInfo?> SaveAsync(IReadOnlyList<CheckpointPart> parts, long start, CancellationToken ct)
    {
        await BeforeSave(ct).ConfigureAwait(false);
        if (home is null)
        {
            return null;
        }

        var info = await home.Store.SaveAsync(new CheckpointDraft(graphHash, parts), ct).ConfigureAwait(false);
        var took = time.GetElapsedTime(start);
        _snapshot = _snapshot with { Taken = _snapshot.Taken + 1, Last = info, LastError = null, LastDuration = took };
        Interlocked.Exchange(ref _lastAt, time.GetTimestamp());
        Durations.Add(took);
        return info;
    }

    public void Passed(string component, CheckpointBarrier barrier, IReadOnlyDictionary<string, long> offsets, StateWriter? state)
    {
        lock (_lock)
        {
            _gathering?.Add(barrier, PartOf(component, offsets, state));
        }
    }

    public void Failed(string component, CheckpointBarrier barrier, Exception error)
    {
        lock (_lock)
        {
            _gathering?.Fail(barrier, new IOException($"{component} could not take part: {error.Message}", error));
        }
    }

    public void Ended(string component, IReadOnlyDictionary<string, long> offsets, StateWriter? state)
    {
        lock (_lock)
        {
            var part = PartOf(component, offsets, state);
            _ended[component] = part;
            if (_gathering is { } gathering)
            {
                gathering.Add(gathering.Barrier, part);
            }
        }
    }

    public void WantConfirmed(bool now)
    {
        if (IsConfirmedAtTheEnd || (home is not null && !now))
        {
            return;
        }

        Interlocked.Increment(ref _asked);
        if (!Volatile.Read(ref _wanted).Task.IsCompleted)
        {
            Want();
        }
    }

    public bool IsBounded => _bound.IsSet;

    public bool MustHold => _bound.MustHold;

    public void CountSent()
    {
        if (_bound.Count())
        {
            Want();
        }
    }

    private bool IsAsked => Interlocked.Read(ref _asked) != Interlocked.Read(ref _confirmed);

    private void Want()
    {
        lock (_lock)
        {
            _wanted.TrySetResult();
        }
    }

    // Until the interval is over or somebody wants one earlier.
    private async Task PauseAsync(CancellationToken ct)
    {
        if (!IsAsked)
        {
            using var over = CancellationTokenSource.CreateLinkedTokenSource(ct);
            var wanted = _wanted.Task;
            await Task.WhenAny(wanted, Task.Delay(home is null ? Timeout.InfiniteTimeSpan : times.Interval, time, over.Token)).ConfigureAwait(false);
            await over.CancelAsync().ConfigureAwait(false);
            ct.ThrowIfCancellationRequested();
        }

        // Those who wait are told together: under load half of the time is without a barrier.
        if (IsAsked && _rest - time.GetElapsedTime(_roundEnded) is var rest && rest > TimeSpan.Zero)
        {
            await Task.Delay(rest, time, ct).ConfigureAwait(false);
        }

        lock (_lock)
        {
            if (_wanted.Task.IsCompleted)
            {
                _wanted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }
    }

    private Gathering Begin()
    {
        lock (_lock)
        {
            var barrier = new CheckpointBarrier(++_number);
            _gathering = new Gathering(barrier, _hosts.Where(h => h.IsData).Select(h => h.Plan.Name).Concat(_feedbacks.Select(f => f.PartName)), _ended.Values);
            foreach (var host in _hosts.Where(h => h.Plan.Type is ComponentType.Source or ComponentType.ApiEndpoint && !_ended.ContainsKey(h.Plan.Name)))
            {
                host.Loop.Want(barrier);
            }

            return _gathering;
        }
    }

    private bool GoesRound(IReadOnlyList<CheckpointPart> parts) => parts.Any(p => p.Write is not null && _feedbacks.Any(f => f.PartName == p.Component));

    // While somebody waits it is tried again each second: the same trouble is told once in a while.
    private void Tell(CheckpointBarrier barrier, string why)
    {
        if (why != _snapshot.LastError || _toldAt is not { } at || time.GetElapsedTime(at) > s_tellAgain)
        {
            _toldAt = time.GetTimestamp();
            LogAbandoned(log, barrier.Number, why);
        }
    }

    // Processing goes on, and sources that were held go on with it.
    private void Abandon(Gathering gathering, string why)
    {
        Tell(gathering.Barrier, why);
        _snapshot = _snapshot with { Failed = _snapshot.Failed + 1, LastError = why };
        _bound.Settled();
        foreach (var host in _hosts)
        {
            host.Loop.Ask(Attention.None);
        }

        _rest = s_restAfterFailure;
    }

    private string MissingOf(Gathering gathering)
    {
        lock (_lock)
        {
            return string.Join(", ", gathering.Missing);
        }
    }

    private CheckpointPart PartOf(string component, IReadOnlyDictionary<string, long> offsets, StateWriter? state)
    {
        if (_hosts.FirstOrDefault(h => h.Plan.Name == component)?.Plan.Descriptor is not { } descriptor)
        {
            return new CheckpointPart(component, 1, 1, offsets, state);
        }

        return new CheckpointPart(component, descriptor.Version, descriptor.StateVersion, offsets, state);
    }

    [LoggerMessage(EventId = 4020, Level = LogLevel.Warning, Message = "checkpoint {Number} was abandoned, processing goes on, nothing is acknowledged yet: {Why}")]
    private static partial void LogAbandoned(ILogger logger, long number, string why);
}
