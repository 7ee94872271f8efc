using Loom.Node.Plans;

namespace Loom.Node.Pools;

/// <summary>Tells how much memory the GPUs of a pool have free; joined to the inventory of the machine.</summary>
public interface IDeviceMemory
{
    /// <summary>Free bytes of all GPUs the pool's engines use, read now, whoever uses the rest; null = they use none, or it cannot be read.</summary>
    Task<long?> FreeAsync(PoolPlan pool, CancellationToken cancellationToken);
}
