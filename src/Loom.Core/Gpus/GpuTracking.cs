using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Core.Gpus;

/// <summary>What a scan changed.</summary>
/// <param name="Appeared">New, or back again.</param>
/// <param name="Vanished">Gone.</param>
public sealed record GpuChanges(ImmutableArray<GpuDevice> Appeared, ImmutableArray<GpuDevice> Vanished)
{
    public bool None => Appeared.IsEmpty && Vanished.IsEmpty;
}

/// <summary>
/// Follows devices over scans. One scan that does not see a device may be a hiccup of the driver; the second in a row makes it vanished. Pure.
/// </summary>
public sealed record GpuTracking
{
    /// <summary>Scans in a row without a device after which it is gone.</summary>
    public const int ScansUntilGone = 2;

    private ImmutableDictionary<string, int> Missed { get; init; } = ImmutableDictionary<string, int>.Empty.WithComparers(StringComparer.OrdinalIgnoreCase);

    /// <summary>What is known now.</summary>
    public GpuSnapshot Snapshot { get; init; } = GpuSnapshot.None;

    /// <summary>Takes the readings of one scan.</summary>
    /// <param name="readings">Of each source that was asked, best first; the first that can be used counts.</param>
    public (GpuTracking Next, GpuChanges Changes) Step(IReadOnlyList<(string Source, GpuReading Reading)> readings)
    {
        var used = readings.FirstOrDefault(r => r.Reading.Devices is not null);
        var seen = used.Reading?.Devices ?? [];
        var before = Snapshot.Devices;
        var missing = before.Where(d => !seen.Any(s => Same(s, d))).ToList();
        var gone = missing.Where(d => Missed.GetValueOrDefault(d.Uuid) + 1 >= ScansUntilGone).ToImmutableArray();
        // Still listed, with nothing that could be out of date.
        var doubtful = missing.Except(gone).Select(d => d with { VramFreeBytes = null, Utilization = null, TemperatureC = null, ForeignProcesses = null }).ToList();
        var appeared = seen.Where(s => !before.Any(d => Same(s, d))).ToImmutableArray();
        // A source that fails once must not turn a machine with GPUs into a mock one.
        var source = doubtful.Count > 0 && seen.IsEmpty ? Snapshot.Source : used.Source ?? GpuSources.Mock;
        var troubles = readings.Select(r => r.Reading.Trouble is { } t ? $"{r.Source}: {t}" : null).OfType<string>().ToList();
        var next = new GpuTracking
        {
            Missed = Missed.RemoveRange(Missed.Keys.Except(doubtful.Select(d => d.Uuid), StringComparer.OrdinalIgnoreCase))
                .SetItems(doubtful.Select(d => KeyValuePair.Create(d.Uuid, Missed.GetValueOrDefault(d.Uuid) + 1))),
            Snapshot = new GpuSnapshot
            {
                Source = source,
                Devices = Merge(seen, doubtful),
                Vanished = Snapshot.Vanished.RemoveRange(appeared.Select(d => d.Uuid)).SetItems(gone.Select(d => KeyValuePair.Create(d.Uuid, d))),
                Trouble = troubles.Count == 0 ? null : string.Join("; ", troubles),
                Scan = Snapshot.Scan + 1,
            },
        };
        return (next, new GpuChanges(appeared, gone));
    }

    // A device that is doubtful keeps its number as long as no other has it now.
    private static ImmutableArray<GpuDevice> Merge(ImmutableArray<GpuDevice> seen, List<GpuDevice> doubtful) => doubtful.Count == 0
        ? seen
        : [.. seen.Concat(doubtful.Where(d => !seen.Any(s => s.DeviceId == d.DeviceId))).OrderBy(d => d.DeviceId)];

    private static bool Same(GpuDevice one, GpuDevice other) => one.Uuid.Equals(other.Uuid, StringComparison.OrdinalIgnoreCase);
}
