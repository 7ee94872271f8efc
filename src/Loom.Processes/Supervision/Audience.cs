using System.Collections.Immutable;
using Microsoft.Extensions.Logging;

namespace Loom.Processes.Supervision;

/// <summary>Who listens to changes of state and to output. A listener that throws is logged and costs nobody else anything. For any thread.</summary>
internal sealed partial class Audience(ILogger logger)
{
    private ImmutableArray<Action<ProcessSnapshot>> _listeners = [];
    private ImmutableArray<Action<LogLine>> _followers = [];

    internal IDisposable Subscribe(Action<ProcessSnapshot> onChange)
    {
        ImmutableInterlocked.Update(ref _listeners, (list, item) => list.Add(item), onChange);
        return new Subscription(() => ImmutableInterlocked.Update(ref _listeners, (list, item) => list.Remove(item), onChange));
    }

    internal IDisposable Follow(Action<LogLine> onLine)
    {
        ImmutableInterlocked.Update(ref _followers, (list, item) => list.Add(item), onLine);
        return new Subscription(() => ImmutableInterlocked.Update(ref _followers, (list, item) => list.Remove(item), onLine));
    }

    internal void Tell(ProcessSnapshot snapshot) => TellAll(_listeners, snapshot);

    internal void Tell(LogLine line) => TellAll(_followers, line);

    private void TellAll<T>(ImmutableArray<Action<T>> all, T news)
    {
        foreach (var one in all)
        {
            try
            {
                one(news);
            }
            catch (Exception e)
            {
                LogListener(logger, e); // neither the supervisor's fault nor a reason to lose a child's output
            }
        }
    }

    [LoggerMessage(EventId = 2022, Level = LogLevel.Error, Message = "a listener to process changes or output failed")]
    private static partial void LogListener(ILogger logger, Exception error);

    private sealed class Subscription(Action end) : IDisposable
    {
        private Action? _end = end;

        public void Dispose() => Interlocked.Exchange(ref _end, null)?.Invoke();
    }
}
