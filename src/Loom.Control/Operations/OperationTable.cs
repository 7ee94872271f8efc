using System.Collections.Immutable;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Operations;

/// <summary>
/// The operations of this control plane: their ids, at most one at a time on each subject, and the last ones that ended. An operation goes on when nobody
/// waits for it; only the end of the process ends it early.
/// </summary>
internal sealed partial class OperationTable(TimeProvider time, ILogger log) : IAsyncDisposable
{
    /// <summary>Ended operations that can still be asked for.</summary>
    public const int Kept = 256;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    private readonly Lock _gate = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Dictionary<string, Operation> _byId = new(StringComparer.Ordinal);
    private readonly Dictionary<string, (Operation Operation, Task Work)> _running = new(StringComparer.Ordinal);
    private readonly Queue<string> _ended = new();

    /// <summary>Begins an operation and returns while it runs.</summary>
    /// <param name="kind">Word for it.</param>
    /// <param name="subject">What it is about; a second operation on it is refused while this one runs. A pool's is its id.</param>
    /// <param name="poolId">The pool; empty when it is about none.</param>
    /// <param name="work">Does it and tells each change; its return value ends it.</param>
    /// <exception cref="ProblemException">409.</exception>
    public Operation Start(string kind, string subject, string poolId, Func<Operation, CancellationToken, Task<OperationEnd>> work)
    {
        var operation = new Operation(new OperationStatus { Id = Guid.NewGuid().ToString(), Kind = kind, PoolId = poolId, Status = OperationState.Running }, time);
        var id = operation.Current.Status.Id;
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            if (_running.TryGetValue(subject, out var other))
            {
                var status = other.Operation.Current.Status;
                throw new ProblemException(new Problem(
                    ProblemCode.Conflict, $"operation {status.Id} ({status.Kind}) runs on '{subject}'; one at a time, follow it at /v2/operations/{status.Id}/events"));
            }

            _byId.Add(id, operation);
            _running.Add(subject, (operation, RunAsync(operation, subject, work)));
        }

        LogStarted(log, id, kind, subject);
        return operation;
    }

    /// <summary>Begins an operation about no pool, unless one runs on the subject: then that one goes on.</summary>
    public void StartUnlessRunning(string kind, string subject, Func<Operation, CancellationToken, Task<OperationEnd>> work)
    {
        lock (_gate)
        {
            if (!_running.ContainsKey(subject))
            {
                Start(kind, subject, "", work);
            }
        }
    }

    /// <summary>The operation of an id, or null.</summary>
    public Operation? Find(string id)
    {
        lock (_gate)
        {
            return _byId.GetValueOrDefault(id);
        }
    }

    /// <summary>The operation that runs on a subject, or null.</summary>
    public Operation? RunningOn(string subject)
    {
        lock (_gate)
        {
            return _running.TryGetValue(subject, out var running) ? running.Operation : null;
        }
    }

    /// <summary>Ends what runs as failed.</summary>
    public async ValueTask DisposeAsync()
    {
        Task[] works;
        lock (_gate)
        {
            _stop.Cancel();
            works = [.. _running.Values.Select(r => r.Work)];
        }

        await Task.WhenAll(works).WaitAsync(s_patience, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private async Task RunAsync(Operation operation, string subject, Func<Operation, CancellationToken, Task<OperationEnd>> work)
    {
        await Task.Yield();
        OperationEnd end;
        try
        {
            end = await work(operation, _stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            end = new OperationEnd(OperationState.Failed, "the server stopped while the operation ran");
        }
        catch (ProblemException e)
        {
            end = new OperationEnd(OperationState.Failed, e.Message);
        }
        catch (Exception e)
        {
            LogBroken(log, operation.Current.Status.Id, e);
            end = new OperationEnd(OperationState.Failed, RouteServer.Unexpected);
        }

        // The next operation may begin as soon as somebody sees the end of this one.
        lock (_gate)
        {
            _running.Remove(subject);
            operation.EndedAt = time.GetTimestamp();
            _ended.Enqueue(operation.Current.Status.Id);
            while (_ended.Count > Kept)
            {
                _byId.Remove(_ended.Dequeue());
            }
        }

        operation.Tell(s => s with { Status = end.State, Error = end.Error, IsConflict = end.IsConflict });
        LogEnded(log, operation.Current.Status.Id, operation.Current.Status.Kind, subject, end.State, end.Error);
    }

    [LoggerMessage(EventId = 350, Level = LogLevel.Information, Message = "operation {Id}: {Kind} of '{Subject}' begins")]
    private static partial void LogStarted(ILogger logger, string id, string kind, string subject);

    [LoggerMessage(EventId = 351, Level = LogLevel.Information, Message = "operation {Id}: {Kind} of '{Subject}' ended: {State} {Error}")]
    private static partial void LogEnded(ILogger logger, string id, string kind, string subject, OperationState state, string? error);

    [LoggerMessage(EventId = 352, Level = LogLevel.Error, Message = "operation {Id} failed unexpectedly")]
    private static partial void LogBroken(ILogger logger, string id, Exception error);
}

/// <summary>How an operation ended.</summary>
/// <param name="State">Not <see cref="OperationState.Running"/>.</param>
/// <param name="Error">Why it did not succeed; null when it did.</param>
/// <param name="IsConflict">Whether it failed because something else is under way, before anything was begun.</param>
internal readonly record struct OperationEnd(OperationState State, string? Error, bool IsConflict = false)
{
    public static OperationEnd Done { get; } = new(OperationState.Succeeded, null);
}
