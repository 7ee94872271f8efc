using System.Globalization;

namespace Loom.Cli.Status;

/// <summary>
/// Tells ages of processes by the kernel's own count of time since boot, so that a clock that was set does not change them.
/// </summary>
/// <param name="SinceBoot">Time since boot.</param>
internal readonly record struct Uptime(TimeSpan SinceBoot)
{
    // USER_HZ: 100 on every architecture .NET runs on.
    private const int TicksPerSecond = 100;

    /// <summary>The machine's now.</summary>
    public static Uptime Now()
    {
        var text = File.ReadAllText("/proc/uptime");
        return new Uptime(TimeSpan.FromSeconds(double.Parse(text.AsSpan(0, text.IndexOf(' ', StringComparison.Ordinal)), CultureInfo.InvariantCulture)));
    }

    /// <summary>Age of a process by its start ticks.</summary>
    public TimeSpan Of(long startTicks)
    {
        var age = SinceBoot - TimeSpan.FromSeconds((double)startTicks / TicksPerSecond);
        return age < TimeSpan.Zero ? TimeSpan.Zero : age;
    }
}
