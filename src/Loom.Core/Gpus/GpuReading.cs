using System.Collections.Immutable;
using Loom.Wire;

namespace Loom.Core.Gpus;

/// <summary>Who tells of the GPUs, by the names that are shown.</summary>
public static class GpuSources
{
    public const string Nvml = "nvml";
    public const string NvidiaSmi = "nvidia-smi";
    public const string Mock = "mock";
}

/// <summary>One look at the GPUs through one source.</summary>
/// <param name="Devices">In PCI bus order, numbered from 0; null = this source cannot be used here.</param>
/// <param name="Trouble">Why not, or what could not be read; null = nothing.</param>
public sealed record GpuReading(ImmutableArray<GpuDevice>? Devices, string? Trouble)
{
    /// <summary>The source cannot be used here.</summary>
    public static GpuReading Unusable(string trouble) => new(null, trouble);
}

/// <summary>One way of asking for GPUs.</summary>
public interface IGpuSource
{
    /// <summary>One of <see cref="GpuSources"/>.</summary>
    string Name { get; }

    /// <summary>Looks now. A source that cannot be used says so in its answer; it throws for cancellation alone.</summary>
    Task<GpuReading> ReadAsync(CancellationToken cancellationToken);
}

/// <summary>What is known of the GPUs at one moment. Immutable.</summary>
public sealed record GpuSnapshot
{
    /// <summary>Nothing was looked at yet.</summary>
    public static GpuSnapshot None { get; } = new();

    /// <summary>One of <see cref="GpuSources"/>; <c>mock</c> without devices where no other source can be used.</summary>
    public string Source { get; init; } = GpuSources.Mock;

    /// <summary>In PCI bus order; empty on a machine without.</summary>
    public ImmutableArray<GpuDevice> Devices { get; init; } = [];

    /// <summary>Devices that were here in this run and are not any more, by UUID.</summary>
    public ImmutableDictionary<string, GpuDevice> Vanished { get; init; } = ImmutableDictionary<string, GpuDevice>.Empty.WithComparers(StringComparer.OrdinalIgnoreCase);

    /// <summary>Why better sources cannot be used, or what could not be read; null = nothing.</summary>
    public string? Trouble { get; init; }

    /// <summary>Scans made so far.</summary>
    public long Scan { get; init; }

    /// <summary>The devices are invented.</summary>
    public bool Mock => Source == GpuSources.Mock && !Devices.IsEmpty;

    /// <summary>The devices for a reader: <c>0 = GPU-5f1c… (H200)</c>; says so when there is none.</summary>
    public string DevicesInWords => Devices.IsEmpty
        ? "none"
        : string.Join(", ", Devices.Select(InWords));

    /// <summary>One device for a reader.</summary>
    public static string InWords(GpuDevice device) => $"{device.DeviceId} = {device.Uuid}{(device.Name is { } name ? $" ({name})" : "")}";
}
