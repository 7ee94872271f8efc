using System.Collections.Concurrent;

namespace Loom.Harness.Execution;

/// <summary>Runs an asynchronous piece of work on a thread of its own: everything it awaits without leaving its context goes on there.</summary>
internal sealed class DedicatedThread : SynchronizationContext
{
    private readonly BlockingCollection<(SendOrPostCallback Callback, object? State)> _work = [];

    public static Task<T> Run<T>(string name, Func<Task<T>> work)
    {
        var context = new DedicatedThread();
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        var thread = new Thread(() => context.Pump(work, done)) { IsBackground = true, Name = name };
        thread.Start();
        return done.Task;
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        // After the work has ended nobody pumps; what comes late goes on in the pool.
        try
        {
            _work.Add((d, state));
        }
        catch (InvalidOperationException)
        {
            ThreadPool.QueueUserWorkItem(static w => w.Callback(w.State), (Callback: d, State: state), preferLocal: false);
        }
    }

    private void Pump<T>(Func<Task<T>> work, TaskCompletionSource<T> done)
    {
        SetSynchronizationContext(this);
        var running = work();
        running.ConfigureAwait(false).GetAwaiter().UnsafeOnCompleted(_work.CompleteAdding);
        foreach (var (callback, state) in _work.GetConsumingEnumerable())
        {
            callback(state);
        }

        done.SetFromTask(running);
        _work.Dispose();
    }
}
