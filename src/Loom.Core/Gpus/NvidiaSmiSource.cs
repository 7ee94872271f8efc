using System.Collections.Immutable;

namespace Loom.Core.Gpus;

/// <summary>How a helper program ended.</summary>
/// <param name="Code">Exit code; null = it could not be started, or was ended from outside.</param>
/// <param name="Lines">What it wrote, both streams.</param>
/// <param name="Trouble">Why there is no code.</param>
public sealed record GpuToolResult(int? Code, ImmutableArray<string> Lines, string? Trouble);

/// <summary>GPUs through the program <c>nvidia-smi</c>, for machines whose driver has it and whose library cannot be loaded.</summary>
/// <param name="run">
/// Runs <c>nvidia-smi</c> with arguments to its end, within a time of its own; null = it is not installed. Starting processes is for another room.
/// </param>
/// <param name="ours">Whether a process is one of this Loom's own.</param>
public sealed class NvidiaSmiSource(Func<ImmutableArray<string>, CancellationToken, Task<GpuToolResult?>> run, Func<int, bool> ours) : IGpuSource
{
    // A query for something that is not there: what nvidia-smi ends with on a machine with a driver and without a device.
    private const int NothingFound = 6;

    private bool _old;

    public string Name => GpuSources.NvidiaSmi;

    public async Task<GpuReading> ReadAsync(CancellationToken cancellationToken)
    {
        var devices = await run(_old ? NvidiaSmi.OldDeviceQuery : NvidiaSmi.DeviceQuery, cancellationToken).ConfigureAwait(false);
        if (!_old && devices is { Code: not (0 or null) } && NvidiaSmi.LacksComputeCapability(devices.Lines))
        {
            _old = true;
            devices = await run(NvidiaSmi.OldDeviceQuery, cancellationToken).ConfigureAwait(false);
        }

        switch (devices)
        {
            case null:
                return GpuReading.Unusable("nvidia-smi is not installed");
            case { Code: NothingFound }:
                return new GpuReading([], null);
            case { Code: not 0 }:
                return GpuReading.Unusable($"nvidia-smi failed: {devices.Trouble ?? devices.Lines.FirstOrDefault(l => l.Length > 0) ?? $"exit code {devices.Code}"}");
        }

        var processes = devices.Lines.IsEmpty ? null : await run(NvidiaSmi.ProcessQuery, cancellationToken).ConfigureAwait(false);
        return NvidiaSmi.Parse(devices.Lines, processes is { Code: 0 } ? processes.Lines : null, ours);
    }
}
