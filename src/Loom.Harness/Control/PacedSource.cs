using Loom.Components;
using Loom.Harness.Capabilities;

namespace Loom.Harness.Control;

/// <summary>A source that is read no faster than the dial says. Only sources whose control port is bound are read by way of it.</summary>
internal sealed class PacedSource<T>(Source<T> source, RateDial dial, TimeProvider time) : Source<T>
{
    // A new rate is looked for at least so often, however long the old one makes wait.
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(1);

    private DialedRate? _rate;
    private TokenBucket? _bucket;

    protected internal override ValueTask<Read<T>> ReadAsync(CancellationToken stopping, CancellationToken ct)
    {
        var wait = Due();
        return wait == TimeSpan.Zero ? source.ReadAsync(stopping, ct) : WaitAsync(wait, stopping, ct);
    }

    protected internal override ValueTask<StateWriter?> SnapshotAsync(CancellationToken ct) => source.SnapshotAsync(ct);

    private TimeSpan Due()
    {
        var now = time.GetTimestamp();
        if (dial.Rate is var rate && rate != _rate)
        {
            _rate = rate;
            _bucket = rate is { PerSecond: > 0 } ? new TokenBucket(rate.PerSecond, rate.Burst, now, time.TimestampFrequency) : null;
        }

        return _bucket is null ? TimeSpan.Zero : TimeSpan.FromSeconds((double)_bucket.Take(1, now) / time.TimestampFrequency);
    }

    private async ValueTask<Read<T>> WaitAsync(TimeSpan wait, CancellationToken stopping, CancellationToken ct)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
        var begun = time.GetTimestamp();
        while (wait - time.GetElapsedTime(begun) is var left && left > TimeSpan.Zero)
        {
            try
            {
                await Task.Delay(left < s_look ? left : s_look, time, either.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!ct.IsCancellationRequested)
            {
                return Read<T>.End;
            }

            if (dial.Rate != _rate)
            {
                wait = Due();
                begun = time.GetTimestamp();
            }
        }

        return await source.ReadAsync(stopping, ct).ConfigureAwait(false);
    }
}
