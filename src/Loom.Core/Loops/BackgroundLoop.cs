using Microsoft.Extensions.Logging;

namespace Loom.Core.Loops;

/// <summary>
/// The one way to run background work. A loop that ends by an exception is logged, faults <see cref="Completion"/> and shows in <see cref="Fault"/>,
/// so health can report it; it can never die in silence.
/// </summary>
public sealed partial class BackgroundLoop : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private int _disposed;

    private BackgroundLoop(string name)
    {
        Name = name;
        Completion = Task.CompletedTask;
    }

    /// <summary>Name in logs and health.</summary>
    public string Name { get; }

    /// <summary>Ends when the loop ends: completed after a stop, faulted after an error.</summary>
    public Task Completion { get; private set; }

    /// <summary>The error that ended the loop, or null.</summary>
    public Exception? Fault => Completion.Exception?.InnerException;

    /// <summary>Starts <paramref name="body"/> on the thread pool.</summary>
    /// <param name="name">Name in logs and health.</param>
    /// <param name="body">The work; it must return when its token is cancelled.</param>
    /// <param name="logger">Where an unexpected end is reported.</param>
    public static BackgroundLoop Start(string name, Func<CancellationToken, Task> body, ILogger logger)
    {
        var loop = new BackgroundLoop(name);
        loop.Completion = loop.RunAsync(body, logger);
        return loop;
    }

    /// <summary>Completes with the error that ends the first of some loops; never when all of them end well.</summary>
    /// <param name="loops">Loops without which their owner cannot go on.</param>
    public static Task<Exception> FirstFault(params ReadOnlySpan<BackgroundLoop> loops)
    {
        var first = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);
        foreach (var loop in loops)
        {
            _ = loop.Completion.ContinueWith(
                ended => first.TrySetResult(ended.Exception!.InnerException!), CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }

        return first.Task;
    }

    /// <summary>
    /// Asks the loop to stop and waits for its end. The fault of a failed loop stays in <see cref="Fault"/>; disposal does not throw it again. A second call
    /// only waits.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            await Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await Completion.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync(Func<CancellationToken, Task> body, ILogger logger)
    {
        await Task.Yield();
        try
        {
            await body(_stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
        catch (Exception e)
        {
            LogFault(logger, e, Name);
            throw;
        }
    }

    [LoggerMessage(EventId = 100, Level = LogLevel.Error, Message = "background loop '{Name}' ended by an error")]
    private static partial void LogFault(ILogger logger, Exception error, string name);
}
