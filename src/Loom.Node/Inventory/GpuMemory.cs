using Loom.Core.Gpus;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;

namespace Loom.Node.Inventory;

/// <summary>Free memory of GPUs, looked up when it is asked for and not when the next scan is due.</summary>
/// <param name="inventory">The GPUs.</param>
public sealed class GpuMemory(GpuInventory inventory) : IDeviceMemory
{
    public async Task<long?> FreeAsync(PoolPlan pool, CancellationToken cancellationToken)
    {
        if (GpuMask.Select(pool.DeviceMask, inventory.Current.Devices).Devices.IsEmpty)
        {
            return null;
        }

        var found = await inventory.ScanAsync(cancellationToken).ConfigureAwait(false);
        var devices = GpuMask.Select(pool.DeviceMask, found.Devices).Devices;
        return devices.IsEmpty ? null : GpuFit.Free(devices);
    }
}
