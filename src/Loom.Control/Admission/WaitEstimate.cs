namespace Loom.Control.Admission;

/// <summary>A prediction of how long a request will wait.</summary>
/// <param name="Milliseconds">Predicted wait.</param>
/// <param name="Measured">False when nothing has been measured and the default of 100 ms per place was used.</param>
internal readonly record struct WaitEstimate(double Milliseconds, bool Measured)
{
    private const double UnmeasuredMsPerPlace = 100;

    /// <summary>
    /// Time until the request behind <paramref name="ahead"/> others starts. With k busy slots whose requests take s on average the next one frees
    /// after about s/k, and so does each one after it.
    /// </summary>
    public static WaitEstimate Start(int ahead, double serviceMs, int slots) =>
        serviceMs > 0 && slots > 0
            ? new WaitEstimate(serviceMs / slots * (ahead + 1), true)
            : new WaitEstimate(UnmeasuredMsPerPlace * (ahead + 1), false);
}
