using Loom.Core.Gpus;
using Loom.Node;
using Loom.Node.Inventory;
using Loom.Node.Provisioning;
using Loom.Processes;
using Microsoft.Extensions.Logging.Abstractions;

namespace Loom.Cli.Doctor;

/// <summary>The GPUs of the machine, who told of them, and whether the masks of the project name them.</summary>
internal static class GpuChecks
{
    /// <summary>Looks once.</summary>
    /// <param name="node">The node of this project.</param>
    /// <param name="time">Clock.</param>
    /// <param name="cancellationToken">Ends the looking.</param>
    public static async Task<IReadOnlyList<Check>> RunAsync(NodeOptions node, TimeProvider time, CancellationToken cancellationToken)
    {
        var logs = Directory.CreateTempSubdirectory("loom-doctor-");
        try
        {
            var supervisor = new Supervisor(new SupervisorOptions { RunId = "doctor-" + Guid.NewGuid().ToString("N"), AdoptStrays = false });
            await using (supervisor.ConfigureAwait(false))
            {
                var inventory = new GpuInventory(NodeGpus.Sources(node with { LogsDir = logs.FullName }, supervisor, time), node.Gpus.Interval, time, NullLogger.Instance);
                await using (inventory.ConfigureAwait(false))
                {
                    return [.. Judge(node, await inventory.ScanAsync(cancellationToken).ConfigureAwait(false))];
                }
            }
        }
        finally
        {
            logs.Delete(recursive: true);
        }
    }

    /// <summary>What was found, in words. Pure.</summary>
    internal static IEnumerable<Check> Judge(NodeOptions node, GpuSnapshot gpus)
    {
        foreach (var device in gpus.Devices)
        {
            var memory = device is { VramTotalBytes: { } total, VramFreeBytes: { } free } ? $", {ByteSize.Text(free)} of {ByteSize.Text(total)} free" : ", its memory cannot be read";
            var foreign = device.ForeignProcesses is > 0 and var others ? $", {others} processes on it" : "";
            yield return new Check("machine", $"gpu {device.DeviceId}", CheckStatus.Pass, $"{device.Name ?? "unnamed"} {device.Uuid}{memory}{foreign} (told by {gpus.Source})");
        }

        if (gpus.Devices.IsEmpty)
        {
            // A driver that is there and does not work is a fault of the machine; a machine without is not.
            var broken = gpus.Trouble is { } trouble && trouble.Split("; ").Any(t => !t.EndsWith("is not installed", StringComparison.Ordinal));
            yield return broken
                ? new Check("machine", "gpu", CheckStatus.Warning, gpus.Trouble!, "mend the NVIDIA driver; until then engines run on the CPU")
                : new Check("machine", "gpu", CheckStatus.Pass, $"none: engines run on the CPU ({gpus.Trouble ?? "no device"})");
        }

        foreach (var wrong in NodeGpus.MaskTroubles(node, gpus))
        {
            yield return new Check("project", "gpu mask", CheckStatus.Fail, wrong, "name a device that is present, or none for the CPU");
        }
    }
}
