using Loom.Wire;

namespace Loom.Control.Operations;

/// <summary>One operation: its newest status, and a way to wait for the next one. Its runner writes, anybody reads.</summary>
internal sealed class Operation
{
    private static readonly TimeSpan s_firstWord = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private OperationStatus _status;
    private long _version = 1;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private readonly TimeProvider _time;

    public Operation(OperationStatus status, TimeProvider time)
    {
        _status = status;
        _time = time;
    }

    /// <summary>How it is, and the number of that status, which counts from 1.</summary>
    public (OperationStatus Status, long Version) Current
    {
        get
        {
            lock (_gate)
            {
                return (_status, _version);
            }
        }
    }

    /// <summary>When it ended, a timestamp; meaningful once it has.</summary>
    public long EndedAt { get; set; }

    /// <summary>Replaces the status; nothing follows an end.</summary>
    public void Tell(Func<OperationStatus, OperationStatus> change)
    {
        TaskCompletionSource changed;
        lock (_gate)
        {
            if (_status.Ended)
            {
                return;
            }

            _status = change(_status);
            _version++;
            changed = _changed;
            if (!_status.Ended)
            {
                _changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        changed.SetResult();
    }

    /// <summary>Ends when there is a status after this one, or none will come any more.</summary>
    public Task ChangedAsync(long version)
    {
        lock (_gate)
        {
            return _version > version || _status.Ended ? Task.CompletedTask : _changed.Task;
        }
    }

    /// <summary>Ends with the first change, or after a second without one: a refusal comes at once, and is told to who asked.</summary>
    public async Task FirstWordAsync() =>
        await ChangedAsync(1).WaitAsync(s_firstWord, _time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);

    /// <summary>Waits for the end.</summary>
    public async Task<OperationStatus> EndedAsync(CancellationToken cancel)
    {
        while (true)
        {
            var (status, version) = Current;
            if (status.Ended)
            {
                return status;
            }

            await ChangedAsync(version).WaitAsync(cancel).ConfigureAwait(false);
        }
    }
}
