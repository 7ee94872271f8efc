using Loom.Node.Engines;
using Loom.Node.Plans;

namespace Loom.Node.Provisioning;

/// <summary>Sees to it that engine and model of a pool lie on this machine, whole and checked.</summary>
public interface IProvisioner
{
    /// <summary>Runs the steps <c>engine:KIND</c>, <c>model:REF</c> and <c>fit</c>; what is there already costs next to nothing.</summary>
    /// <exception cref="ProvisionException">A step failed.</exception>
    Task<PreparedEngine> PrepareAsync(PoolPlan pool, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken);

    /// <summary>Brings a model's file to this machine, so that pools may load it by its id from now on.</summary>
    /// <param name="id">Id it is to have.</param>
    /// <param name="source">Reference or catalog id.</param>
    /// <param name="sha256">Its checksum, 64 hex digits; null = the source must have one.</param>
    /// <param name="progress">Told of the step.</param>
    /// <param name="cancellationToken">Ends the fetch; what came so far is kept and resumed.</param>
    /// <exception cref="ProvisionException">It cannot be had.</exception>
    Task<PreparedModel> FetchAsync(string id, string source, string? sha256, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken);
}
