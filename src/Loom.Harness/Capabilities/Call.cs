using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>One event, or one batch, on its way through the chain of its component. Reused for the next one: nobody keeps it.</summary>
internal abstract class Call(string component, bool isBatch) : IDisposable
{
    private CancellationTokenSource? _attempt;
    private CancellationTokenRegistration _link;

    public string Component { get; } = component;

    /// <summary>Whether it stands for a batch.</summary>
    public bool IsBatch { get; } = isBatch;

    /// <summary>Cancels the run.</summary>
    public CancellationToken Run { get; set; }

    /// <summary>What the handler is given: the run's token, or one that also fires when the attempt's time is up.</summary>
    public CancellationToken Token { get; set; }

    /// <summary>Which attempt of Retry this is, from 1.</summary>
    public int Attempt { get; private set; }

    /// <summary>How many events it stands for: what a rate limit charges.</summary>
    public abstract int Items { get; }

    /// <summary>Sets out for the first attempt.</summary>
    public void Start()
    {
        Attempt = 1;
        Token = Run;
        Clear();
    }

    /// <summary>Sets out for another attempt: what the last one sent is forgotten.</summary>
    public void StartAgain()
    {
        Attempt++;
        Clear();
    }

    /// <summary>Whether another attempt may be made: not once outputs were released early.</summary>
    public abstract bool CanRepeat { get; }

    /// <summary>For a batch whose members fail alone: keeps the ones that failed for a passing reason, for another attempt. False when there is none.</summary>
    public virtual bool NarrowToTransient() => false;

    /// <summary>What capabilities of one's own are told of the event, or of each member.</summary>
    public abstract IReadOnlyList<ItemContext> Contexts { get; }

    /// <summary>The batch's id; null for one event.</summary>
    public virtual string? BatchId => null;

    /// <summary>For a batch: whether the first failure is that of all.</summary>
    public virtual bool IsFailFast => false;

    /// <summary>For a batch: where its members stand in the whole one, in order.</summary>
    public virtual IReadOnlyList<int> Places => [0];

    /// <summary>For a batch: the error of the member at a place of the whole one; null when it has none.</summary>
    public virtual Exception? ErrorAt(int place) => null;

    /// <summary>For a batch: hands the members that go on to the rest of the chain, and has all of them again afterwards. What the rest throws comes out, and is then the error of each it was still to handle unless the first is that of all.</summary>
    /// <param name="goesOn">By index among the members.</param>
    /// <param name="next">The rest of the chain.</param>
    public virtual ValueTask PassAsync(IReadOnlyList<bool> goesOn, Link next) => next.InvokeAsync(this);

    /// <summary>For a batch: what became of members in the end; nothing is sent of those that have an error.</summary>
    /// <param name="places">Their places in the whole batch.</param>
    /// <param name="errors">The error of each; null: done. Thrown where the first failure is that of all.</param>
    public virtual void Judge(IReadOnlyList<int> places, IReadOnlyList<Exception?> errors)
    {
    }

    /// <summary>A source for <see cref="Token"/> whose timer can be set; the same one is used until it has fired.</summary>
    public CancellationTokenSource AttemptSource(TimeProvider time)
    {
        if (_attempt is { IsCancellationRequested: false })
        {
            return _attempt;
        }

        _link.Dispose();
        _attempt?.Dispose();
        _attempt = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        _link = Run.UnsafeRegister(static source => ((CancellationTokenSource)source!).Cancel(), _attempt);
        return _attempt;
    }

    public void Dispose()
    {
        _link.Dispose();
        _attempt?.Dispose();
    }

    protected abstract void Clear();
}

/// <summary>A call that carries payloads of a known type.</summary>
internal abstract class Call<TIn>(string component, bool isBatch) : Call(component, isBatch)
{
    /// <summary>Asks a check of every payload; one that fails is refused with the error the check gives.</summary>
    public abstract void Check(Func<TIn, ItemException?> check);
}
