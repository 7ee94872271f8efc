namespace Loom.Harness.Components.BuiltIns.Sources;

/// <summary>Waits of a source: by the system's clock, and over at once when a soft stop is asked.</summary>
internal static class Waiting
{
    /// <summary>Waits.</summary>
    /// <returns>False when the stop was asked, before or during the wait.</returns>
    /// <exception cref="OperationCanceledException"><paramref name="ct"/> fired.</exception>
    public static async ValueTask<bool> ForAsync(TimeSpan wait, TimeProvider time, CancellationToken stopping, CancellationToken ct)
    {
        if (wait > TimeSpan.Zero)
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, ct);
            await Task.Delay(wait, time, either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        ct.ThrowIfCancellationRequested();
        return !stopping.IsCancellationRequested;
    }
}
