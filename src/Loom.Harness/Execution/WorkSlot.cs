using System.Runtime.CompilerServices;
using Loom.Harness.Capabilities;

namespace Loom.Harness.Execution;

/// <summary>One of several calls in work at once. It runs wherever it may; what comes of it is settled by the loop alone, which is asked to look up when it has finished.</summary>
internal sealed class WorkSlot<TCall>(LoopContext context, Link chain, TCall call) : IThreadPoolWorkItem
    where TCall : Call
{
    private volatile bool _finished;

    public TCall Call => call;

    public Exception? Error { get; private set; }

    public bool IsFinished => _finished;

    /// <summary>How often the component had been let go on when the call finished: a hold that was ended since has answered its error.</summary>
    public long Releases { get; private set; }

    /// <summary>Starts the call.</summary>
    /// <param name="here">On the caller's thread up to its first wait; else on the pool.</param>
    public void Start(bool here)
    {
        if (!here && context.Lane is null)
        {
            Begin();
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        }
        else if (Run())
        {
            context.Ask(Attention.Finished);
        }
    }

    /// <summary>Starts the call on the caller's thread; true when it has finished already, and then the loop is not asked to look up.</summary>
    public bool Run()
    {
        Begin();
        return Invoke();
    }

    void IThreadPoolWorkItem.Execute()
    {
        if (Invoke())
        {
            context.Ask(Attention.Finished);
        }
    }

    private void Begin()
    {
        _finished = false;
        Error = null;
        context.Lane?.BeginFlow();
    }

    private bool Invoke()
    {
        ValueTask handled;
        try
        {
            handled = chain.InvokeAsync(call);
        }
        catch (Exception e)
        {
            handled = ValueTask.FromException(e);
        }

        var awaiter = handled.ConfigureAwait(false).GetAwaiter();
        if (awaiter.IsCompleted)
        {
            Finish(awaiter);
            context.Lane?.EndFlow();
            return true;
        }

        FinishLater(awaiter);
        return false;
    }

    // Apart, so that a call that has finished already makes no closure.
    private void FinishLater(ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter awaiter) => awaiter.UnsafeOnCompleted(() =>
    {
        Finish(awaiter);
        context.Ask(Attention.Finished);
        context.Lane?.EndFlow(); // only now: the loop has something to do
    });

    private void Finish(ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter awaiter)
    {
        try
        {
            awaiter.GetResult();
        }
        catch (Exception e)
        {
            Error = e;
            Releases = context.Pause.Releases;
        }

        _finished = true;
    }
}
