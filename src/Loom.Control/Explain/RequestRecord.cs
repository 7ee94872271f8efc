using System.Runtime.CompilerServices;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Wire;

namespace Loom.Control.Explain;

/// <summary>
/// What became of one request and why. Written by the request's own call and, about its placement, by the admission desk; used again for a later request once
/// it has ended, so it costs no memory of its own. A reader sees a request that still runs as it is at some moment.
/// </summary>
internal sealed class RequestRecord
{
    // What is beyond this is counted, not listed.
    private const int MostCandidates = 256;
    private const int MostAttempts = 5;

    private Attempts _attempts;
    private int _attemptCount;
    private (Replica Replica, Verdict Verdict, int Free)[] _candidates = new (Replica, Verdict, int)[4];
    private int _candidateCount;
    private volatile bool _ended;
    private volatile int _use;

    /// <summary>Counts the requests the record stood for; a reader that sees it change has read of two.</summary>
    public int Use => _use;

    /// <summary>Whether the request is over.</summary>
    public bool HasEnded => _ended;

    public string Id { get; private set; } = "";

    /// <summary>Name of the key it came with.</summary>
    public string Caller { get; private set; } = "";

    /// <summary>Path it came by.</summary>
    public string Path { get; private set; } = "";

    /// <summary>Model as the client named it; null until known.</summary>
    public string? Name { get; private set; }

    /// <summary>Model behind the name; null until known.</summary>
    public string? Model { get; private set; }

    public QueueClass Class { get; private set; }

    /// <summary>When it came.</summary>
    public DateTimeOffset Arrived { get; private set; }

    /// <summary>How long it waited for its first slot, in milliseconds; null while it has none.</summary>
    public double? QueueMs { get; private set; }

    public WaitEstimate? Predicted { get; private set; }

    /// <summary>Placements that were tried, the successful ones included.</summary>
    public int Placements { get; private set; }

    /// <summary>Replicas that were judged beyond those that are listed.</summary>
    public int Unlisted { get; private set; }

    /// <summary>Status of the answer; 0 until it has ended.</summary>
    public int Status { get; private set; }

    /// <summary>Why it failed; null when it did not, or has not ended.</summary>
    public ProblemCode? Problem { get; private set; }

    /// <summary>From arrival to the end of the answer, in milliseconds.</summary>
    public double TotalMs { get; private set; }

    public TokenUsage? Usage { get; private set; }

    public bool Streamed { get; private set; }

    /// <summary>Attempts on replicas, in their order.</summary>
    public IReadOnlyList<AttemptRecord> AttemptList => ((ReadOnlySpan<AttemptRecord>)_attempts)[.._attemptCount].ToArray();

    /// <summary>Replicas judged for the last placement, in their order.</summary>
    public IReadOnlyList<(Replica Replica, Verdict Verdict, int Free)> Candidates => _candidates[.._candidateCount];

    /// <summary>Starts the record of a request.</summary>
    public void Begin(string id, string caller, string path, DateTimeOffset arrived)
    {
        _use++;
        _ended = false;
        Id = id;
        Caller = caller;
        Path = path;
        Arrived = arrived;
        Name = null;
        Model = null;
        QueueMs = null;
        Predicted = null;
        Placements = 0;
        Unlisted = 0;
        Status = 0;
        Problem = null;
        TotalMs = 0;
        Usage = null;
        Streamed = false;
        Array.Clear(_candidates, 0, _candidateCount);
        _attempts = default;
        _attemptCount = 0;
        _candidateCount = 0;
    }

    /// <summary>The request was understood.</summary>
    public void Asked(string name, string model, QueueClass queueClass, bool streamed)
    {
        Name = name;
        Model = model;
        Class = queueClass;
        Streamed = streamed;
    }

    /// <summary>A placement is being tried; what the one before judged is forgotten.</summary>
    public void BeginPlacement()
    {
        Placements++;
        Unlisted = 0;
        _candidateCount = 0;
    }

    /// <summary>The filter has judged a replica.</summary>
    public void Judged(Replica replica, Verdict verdict)
    {
        if (_candidateCount == _candidates.Length)
        {
            if (_candidateCount == MostCandidates)
            {
                Unlisted++;
                return;
            }

            Array.Resize(ref _candidates, _candidateCount * 2);
        }

        var free = replica.Status.SlotsTotal - replica.Load.Leases - replica.Status.SlotsBusyElsewhere;
        _candidates[_candidateCount++] = (replica, verdict, free);
    }

    /// <summary>A replica was chosen.</summary>
    public void Placed(Replica replica, long now)
    {
        if (_attemptCount < MostAttempts)
        {
            _attempts[_attemptCount++] = new AttemptRecord(replica, now, null, 0);
        }
    }

    /// <summary>The wait for the first slot is over.</summary>
    public void Started(double queueMs, WaitEstimate? predicted)
    {
        QueueMs = queueMs;
        Predicted = predicted;
    }

    /// <summary>The attempt that runs is over.</summary>
    /// <param name="problem">Why it failed; null when it did not.</param>
    /// <param name="firstByteMs">From dispatch to the first byte of its answer; 0 when none came.</param>
    public void Attempted(ProblemCode? problem, double firstByteMs)
    {
        if (_attemptCount > 0)
        {
            ref var last = ref _attempts[_attemptCount - 1];
            last = last with { Problem = problem, FirstByteMs = firstByteMs };
        }
    }

    /// <summary>The request is over.</summary>
    public void End(int status, ProblemCode? problem, double totalMs, TokenUsage? usage)
    {
        Status = status;
        Problem = problem;
        TotalMs = totalMs;
        Usage = usage;
        _ended = true;
    }

    [InlineArray(MostAttempts)]
    private struct Attempts
    {
        private AttemptRecord _first;
    }
}

/// <summary>One attempt.</summary>
/// <param name="Replica">Where.</param>
/// <param name="GrantedAt">When the slot was leased, as a timestamp.</param>
/// <param name="Problem">Why it failed; null when it did not, or runs.</param>
/// <param name="FirstByteMs">From dispatch to the first byte, in milliseconds; 0 when none came.</param>
internal readonly record struct AttemptRecord(Replica Replica, long GrantedAt, ProblemCode? Problem, double FirstByteMs);
