using System.Threading.Tasks.Sources;
using Loom.Control.Catalog;
using Loom.Control.Explain;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Core.Web;
using Loom.Wire;

namespace Loom.Control.Admission;

/// <summary>How a wait for a slot ended. Every wait ends in exactly one way.</summary>
internal enum WaitOutcome
{
    /// <summary>A slot is leased to the ticket; it must be released.</summary>
    Granted,

    /// <summary>A newcomer took its place in a full queue.</summary>
    Evicted,

    /// <summary>Its own side gave up.</summary>
    Abandoned,

    /// <summary>The control plane is shutting down.</summary>
    Closed,

    /// <summary>Every replica that could have served it is gone.</summary>
    Unavailable,

    /// <summary>Its model could not be loaded; <see cref="Ticket.Refusal"/> says why.</summary>
    LoadFailed,
}

/// <summary>Answer to a request for a slot.</summary>
internal enum Admittance
{
    /// <summary>A slot is leased; no waiting.</summary>
    Granted,

    /// <summary>It waits; await <see cref="Ticket.WaitAsync"/>.</summary>
    Waiting,

    /// <summary>It was not let in; see <see cref="Ticket.Refusal"/>.</summary>
    Refused,
}

/// <summary>
/// One request's way through admission. Used again for the next request of its connection. All but the wait itself belongs to
/// <see cref="AdmissionDesk"/> and is touched only under its lock.
/// </summary>
/// <param name="holder">Told when a slot it holds is taken away; null = nobody.</param>
internal sealed class Ticket(ILeaseHolder? holder = null) : IValueTaskSource<WaitOutcome>
{
    private const int MostAttempts = 5;

    private readonly ReplicaLoad[] _tried = new ReplicaLoad[MostAttempts];
    private int _triedCount;
    private volatile LeaseLoss _loss;
    private ManualResetValueTaskSourceCore<WaitOutcome> _wait = new() { RunContinuationsAsynchronously = true };

    /// <summary>Class of the request.</summary>
    public QueueClass Class { get; private set; }

    /// <summary>Where it may go.</summary>
    public ModelRoute Route { get; set; } = null!;

    /// <summary>The replica whose slot it holds, or held last.</summary>
    public Replica? Replica { get; set; }

    /// <summary>Whether it holds a slot.</summary>
    public bool HoldsLease { get; set; }

    /// <summary>Number of the lease it holds or held last; no two leases have the same.</summary>
    public long Lease { get; set; }

    /// <summary>Why that lease was taken away; <see cref="LeaseLoss.None"/> while it was not. Any thread may ask.</summary>
    public LeaseLoss Loss
    {
        get => _loss;
        set => _loss = value;
    }

    /// <summary>Why it was refused; set when it was.</summary>
    public Problem? Refusal { get; set; }

    /// <summary>Wait the client accepts before the start, in milliseconds; null = any.</summary>
    public double? DeadlineMs { get; private set; }

    /// <summary>What the engine must offer.</summary>
    public InferenceRoute Work { get; set; }

    /// <summary>What it asks of its place; null = nothing.</summary>
    public PlacementWish? Wish { get; set; }

    /// <summary>The replica of its session's last turn: taken if it is free; null = none.</summary>
    public ReplicaId? LastReplica { get; set; }

    /// <summary>Tokens it may generate at most; null = not said.</summary>
    public int? MostTokens { get; set; }

    /// <summary>Where decisions about it are written down; null = nowhere.</summary>
    public RequestRecord? Trace { get; set; }

    /// <summary>When the first byte of the answer came, as a timestamp; 0 while none did. Set by the holder before it gives the slot back.</summary>
    public long FirstByteAt { get; set; }

    /// <summary>Tokens generated. Set by the holder before it gives the slot back.</summary>
    public long Tokens { get; set; }

    /// <summary>Wait that was predicted on joining the queue; null when it never waited.</summary>
    public WaitEstimate? Predicted { get; set; }

    /// <summary>Time the decision for its replica took, in timestamp units.</summary>
    public long DecidedIn { get; set; }

    internal long Rank { get; set; }

    internal long Arrived { get; private set; }

    internal long GrantedAt { get; set; }

    /// <summary>Whether it waits for a model that no replica has, or is on its way to have.</summary>
    internal bool IsForeign { get; set; }

    internal QueueEntry<Ticket>? Entry { get; set; }

    internal ILeaseHolder? Holder { get; } = holder;

    internal Ticket? NextHolder { get; set; }

    internal Ticket? PreviousHolder { get; set; }

    internal ReadOnlySpan<ReplicaLoad> Tried => _tried.AsSpan(0, _triedCount);

    /// <summary>Makes the ticket ready for a new request; what is not a parameter may be set afterwards.</summary>
    public void Reset(ModelRoute route, QueueClass queueClass, double? deadlineMs, long now)
    {
        Route = route;
        Class = queueClass;
        DeadlineMs = deadlineMs;
        Arrived = now;
        Replica = null;
        HoldsLease = false;
        Loss = LeaseLoss.None;
        Refusal = null;
        Predicted = null;
        DecidedIn = 0;
        Work = InferenceRoute.Chat;
        Wish = null;
        LastReplica = null;
        MostTokens = null;
        Trace = null;
        FirstByteAt = 0;
        Tokens = 0;
        IsForeign = false;
        Rank = -1;
        Entry = null;
        Array.Clear(_tried, 0, _triedCount);
        _triedCount = 0;
    }

    /// <summary>Ends when the wait does. To be awaited once per <see cref="Admittance.Waiting"/>.</summary>
    public ValueTask<WaitOutcome> WaitAsync() => new(this, _wait.Version);

    internal void BeginWait() => _wait.Reset();

    internal void EndWait(WaitOutcome outcome) => _wait.SetResult(outcome);

    internal void MarkTried(ReplicaLoad load) => _tried[_triedCount++] = load;

    WaitOutcome IValueTaskSource<WaitOutcome>.GetResult(short token) => _wait.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<WaitOutcome>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<WaitOutcome>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);
}
