namespace Loom.Control.Admission;

/// <summary>A prediction of how long a request will wait.</summary>
/// <param name="Milliseconds">Predicted wait.</param>
/// <param name="Measured">False when nothing has been measured and the default of 100 ms per place was used.</param>
internal readonly record struct WaitEstimate(double Milliseconds, bool Measured)
{
    private const double UnmeasuredMsPerPlace = 100;

    /// <summary>Time until a waiting request starts.</summary>
    /// <param name="nextMs">Time until the next slot is free; null when nothing has been measured.</param>
    /// <param name="serviceMs">Expected time each request ahead holds a slot.</param>
    /// <param name="ahead">Requests ahead that want the same slots.</param>
    /// <param name="slots">Slots there are, at least 1.</param>
    /// <param name="position">Place in the queue, for the default.</param>
    public static WaitEstimate Of(double? nextMs, double serviceMs, int ahead, int slots, int position) =>
        nextMs is { } next ? new WaitEstimate(next + (serviceMs * ahead / slots), true) : new WaitEstimate(UnmeasuredMsPerPlace * (position + 1), false);
}
