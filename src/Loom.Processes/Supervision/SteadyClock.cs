namespace Loom.Processes.Supervision;

/// <summary>Time of day at start plus time passed since: a clock set back or forward by an hour neither delays a restart nor causes one.</summary>
internal sealed class SteadyClock(TimeProvider time)
{
    private readonly DateTimeOffset _base = time.GetUtcNow();
    private readonly long _start = time.GetTimestamp();

    internal DateTimeOffset Now => _base + time.GetElapsedTime(_start);
}
