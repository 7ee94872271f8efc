using Loom.Components;

namespace Loom.Harness.Capabilities;

/// <summary>One member of a batch inside a capability's Around. It waits where it calls <c>next</c> until the rest of the chain has handled the batch.</summary>
internal sealed class MemberAround
{
    private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _handled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly EventId _id;
    private readonly Task _around;

    private MemberAround(Capability capability, ItemContext item, CancellationToken ct)
    {
        _id = item.Id;
        _around = RunAsync(capability, item, ct);
    }

    /// <summary>Whether it called <c>next</c>: else it is left out of the batch.</summary>
    public bool HasReached => _reached.Task.IsCompleted;

    /// <summary>Why it ended without getting there; null when it got there, or ended well.</summary>
    public Exception? Refused => HasReached ? null : _around.Exception?.InnerException;

    /// <summary>Runs the hook until it calls <c>next</c> or ends.</summary>
    public static async ValueTask<MemberAround> EnterAsync(Capability capability, ItemContext item, CancellationToken ct)
    {
        var member = new MemberAround(capability, item, ct);
        await Task.WhenAny(member._reached.Task, member._around).ConfigureAwait(true);
        return member;
    }

    /// <summary>Lets the hook go on behind <c>next</c> to its end; gives what it throws, or null.</summary>
    /// <param name="error">What <c>next</c> throws; null: it returns.</param>
    public async ValueTask<Exception?> LeaveAsync(Exception? error)
    {
        if (error is null)
        {
            _handled.TrySetResult();
        }
        else
        {
            _handled.TrySetException(error);
        }

        try
        {
            await _around.ConfigureAwait(true);
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    // An exception before its first wait is the task's too.
    private async Task RunAsync(Capability capability, ItemContext item, CancellationToken ct) =>
        await capability.AroundProcessAsync(item, NextAsync, ct).ConfigureAwait(true);

    private ValueTask NextAsync(CancellationToken ct) => _reached.TrySetResult()
        ? new ValueTask(_handled.Task)
        : throw new InvalidOperationException($"next was called twice for event {_id}; a member of a batch goes through it once, with the others");
}
