using System.Collections.Immutable;
using Loom.Processes.Supervision;
using Microsoft.Extensions.Logging;

namespace Loom.Processes;

/// <summary>The owner loop: requests and news in turn, then what is due.</summary>
public sealed partial class Supervisor
{
    private bool Post(Action request) => _requests.Writer.TryWrite(request);

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (await _requests.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
            {
                while (_requests.Reader.TryRead(out var request))
                {
                    request();
                }

                Work();
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            _requests.Writer.TryComplete(e); // whoever waits sees the loop's completion
            throw;
        }
    }

    /// <summary>What is due: deadlines, the counts that were asked for (one look at the system serves them all), the regular look for strays.</summary>
    private void Work()
    {
        TickWhatIsDue();
        while (_effects.TakeCounts(out var counts))
        {
            foreach (var (child, incarnation, members) in counts)
            {
                Apply(child, new ChildEvent.Counted(incarnation, members));
            }

            TickWhatIsDue(); // a restart without delay does not wait for a timer
        }

        _effects.LookForStrays(_children);
        _effects.TellGuardian();
        Arm();
    }

    private void TickWhatIsDue()
    {
        var now = _clock.Now;
        foreach (var child in _children)
        {
            if (child.State.Deadline <= now)
            {
                Apply(child, new ChildEvent.Tick());
            }
        }
    }

    private void Arm()
    {
        var next = _children.Select(c => c.State.Deadline).Append(_effects.NextLook).Append(_effects.NextTelling).Min();
        if (next is { } due)
        {
            var wait = due - _clock.Now;
            _alarm.Change(wait < TimeSpan.FromMilliseconds(1) ? TimeSpan.FromMilliseconds(1) : wait, Timeout.InfiniteTimeSpan);
        }
    }

    private void Apply(SupervisedChild child, ChildEvent happened)
    {
        var queue = new Queue<ChildEvent>([happened]);
        while (queue.TryDequeue(out var next))
        {
            var (state, actions) = ChildMachine.Apply(child.State, next, _clock.Now, _options.Random.NextDouble());
            child.State = state;
            foreach (var action in actions)
            {
                if (_effects.Perform(child, action) is { } news)
                {
                    queue.Enqueue(news);
                }
            }
        }

        Publish(child);
        child.Settle();
    }

    private void Publish(SupervisedChild child)
    {
        var snapshot = child.State.Snapshot();
        if (snapshot == child.Published && _published.Any(p => p.Name == snapshot.Name))
        {
            return;
        }

        if (snapshot.State != child.Published.State)
        {
            LogState(_options.Logger, snapshot.Name, snapshot.State, snapshot.Pid, snapshot.Reason is { } reason ? ": " + reason : "");
        }

        child.Published = snapshot;
        PublishAll();
        _audience.Tell(snapshot);
    }

    private void TakeStrays(ImmutableArray<ProcessIdentity> strays)
    {
        Strays = strays;
        StraysChanged?.Invoke();
    }

    private void PublishAll() => _published = [.. _children.Select(c => c.Published)];

    [LoggerMessage(EventId = 2020, Level = LogLevel.Information, Message = "{Name} is {State} (pid {Pid}){Reason}")]
    private static partial void LogState(ILogger logger, string name, ProcessState state, int? pid, string reason);
}
