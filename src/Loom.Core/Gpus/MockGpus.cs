using System.Collections.Immutable;
using System.Globalization;
using Loom.Wire;

namespace Loom.Core.Gpus;

/// <summary>Invented GPUs, for those who asked for them; none otherwise. Always the same, so that a mask written down stays right.</summary>
/// <param name="count">How many.</param>
public sealed class MockGpus(int count) : IGpuSource
{
    private const long Vram = 45_634L << 20;

    public string Name => GpuSources.Mock;

    public Task<GpuReading> ReadAsync(CancellationToken cancellationToken) =>
        Task.FromResult(new GpuReading(Enumerable.Range(0, count).Select(Device).ToImmutableArray(), null));

    private static GpuDevice Device(int index) => new()
    {
        DeviceId = index,
        Uuid = string.Create(CultureInfo.InvariantCulture, $"GPU-00000000-0000-0000-0000-{index:d12}"),
        Name = "NVIDIA A40 (Mock)",
        VramTotalBytes = Vram,
        VramFreeBytes = Vram,
        Utilization = 0,
        TemperatureC = 40,
        ComputeCapability = "8.6",
        ForeignProcesses = 0,
    };
}
