using Loom.Core.Gpus;
using Loom.Wire;

namespace Loom.Node.Inventory;

/// <summary>What the state of the GPUs means for a replica. Pure.</summary>
public static class GpuView
{
    /// <summary>The replica with what its GPUs say: their free memory, and unready once one of them has vanished.</summary>
    /// <param name="status">The replica; its <see cref="ReplicaStatus.DeviceMask"/> names GPUs by UUID.</param>
    /// <param name="gpus">The GPUs as they are now.</param>
    public static ReplicaStatus Apply(ReplicaStatus status, GpuSnapshot gpus)
    {
        if (status.DeviceMask.IsEmpty)
        {
            return status;
        }

        var devices = GpuMask.Select(status.DeviceMask, gpus.Devices).Devices;
        var told = status with { VramFreeBytes = devices.IsEmpty ? null : Provisioning.GpuFit.Free(devices), Mock = status.Mock || (gpus.Mock && !devices.IsEmpty) };
        var gone = status.DeviceMask.Where(gpus.Vanished.ContainsKey).Select(uuid => gpus.Vanished[uuid]).ToList();
        return gone.Count > 0 && status.State is not (ReplicaState.Stopped or ReplicaState.Failed)
            ? told with { State = ReplicaState.Unready, LastError = $"GPU {string.Join(" and GPU ", gone.Select(GpuSnapshot.InWords))} has vanished" }
            : told;
    }
}
