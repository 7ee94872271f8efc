using Loom.Node.Engines;
using Loom.Node.Plans;

namespace Loom.Node.Provisioning;

/// <summary>Sees to it that engine and model of a pool lie on this machine, whole and checked.</summary>
public interface IProvisioner
{
    /// <summary>Runs the steps <c>engine:KIND</c>, <c>model:REF</c> and <c>fit</c>; what is there already costs next to nothing.</summary>
    /// <exception cref="ProvisionException">A step failed.</exception>
    Task<PreparedEngine> PrepareAsync(PoolPlan pool, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken);

    /// <summary>The models of this machine; null = this provisioner keeps none.</summary>
    ModelStore? Models => null;
}
