namespace Loom.Harness.Control;

/// <summary>The rate a component is held to while it runs; null as long as nobody has set one and its own settings hold. Set by any thread, read by its loop.</summary>
internal sealed class RateDial
{
    private volatile DialedRate? _rate;

    /// <summary>Whether somebody may set it: then the component gets what follows it.</summary>
    public bool IsWanted { get; set; }

    public DialedRate? Rate => _rate;

    public void Set(DialedRate rate) => _rate = rate;
}

/// <summary>A rate that was set.</summary>
/// <param name="PerSecond">Events a second; 0 = no limit.</param>
/// <param name="Burst">Events at once after a pause.</param>
internal sealed record DialedRate(double PerSecond, int Burst)
{
    public static DialedRate Of(double perSecond, int? burst) => new(perSecond, burst ?? (int)Math.Clamp(perSecond / 10, 1, int.MaxValue));
}
