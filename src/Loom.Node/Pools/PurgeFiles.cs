using System.Collections.Immutable;
using Loom.Core.Binaries;
using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node.Pools;

/// <summary>One thing a purge deletes.</summary>
/// <param name="Name">What it is, for an operator.</param>
/// <param name="Path">Where it lies: a file or a folder of ours.</param>
/// <param name="ModelId">Set for a model, whose record goes with it.</param>
public sealed record PurgeTarget(string Name, string Path, string? ModelId = null);

/// <summary>Finds and deletes what was fetched for a pool. Nothing outside the folders of fetched engines and models is ever named.</summary>
/// <param name="options">The folders.</param>
/// <param name="pools">All pools of the node, to leave alone what another one uses.</param>
/// <param name="time">Clock of the locks.</param>
internal sealed class PurgeFiles(NodeOptions options, Func<IEnumerable<PoolState>> pools, TimeProvider time)
{
    private string Engines => Path.Combine(options.CacheDir, "engines");

    /// <summary>What a purge would delete, engines first.</summary>
    /// <exception cref="ProvisionException">Something is not ours, not there, or in use.</exception>
    public ImmutableArray<PurgeTarget> Targets(PoolState pool, PoolCommand.Purge command)
    {
        List<PurgeTarget> targets = [];
        if (command.PurgeEngine)
        {
            targets.AddRange(EnginesOf(pool));
        }

        if (command.DeleteCacheDirs)
        {
            targets.AddRange(CacheOf(pool.Plan));
        }

        var store = new ModelStore(options);
        targets.AddRange(command.PurgeModels.Distinct(StringComparer.Ordinal).Select(id => new PurgeTarget($"model '{id}'", store.Fetched(id).Path!, id)));
        ImmutableArray<PurgeTarget> distinct = [.. targets.DistinctBy(t => t.Path)];
        foreach (var target in distinct)
        {
            Check(pool, target);
        }

        return distinct;
    }

    /// <summary>Deletes it, under the lock of whoever would fetch it.</summary>
    public async Task DeleteAsync(PurgeTarget target, CancellationToken cancellationToken)
    {
        if (target.ModelId is { } model)
        {
            await new ModelStore(options).RemoveAsync(model, time, cancellationToken).ConfigureAwait(false);
            return;
        }

        using var held = await ArtifactLock.TakeAsync(target.Path + ".lock", _ => { }, time, cancellationToken).ConfigureAwait(false);
        BinaryCache.RemoveFiles(target.Path);
    }

    private IEnumerable<PurgeTarget> EnginesOf(PoolState pool)
    {
        var kind = pool.Plan.Engine.Kind;
        if (kind is not (EngineKinds.Embedded or EngineKinds.LlamaServer))
        {
            throw new ProvisionException(ProvisionExit.Configuration, $"an engine of kind {kind} was not fetched by Loom, so there is none to purge");
        }

        var ran = Prepared(pool).Select(p => p.Folder ?? p.Program).Distinct(StringComparer.Ordinal).ToList();
        return ran.Count > 0
            ? ran.Select(path => new PurgeTarget($"engine {Path.GetFileName(path)}", OurPart(path)))
            : throw new ProvisionException(ProvisionExit.NotFound,
                $"no engine of pool '{pool.Plan.Id}' runs here, so nobody knows which one is its; delete_cache_dirs removes all fetched engines of kind {kind}");
    }

    // An engine may be a folder with its program inside; what was fetched is what lies directly in our folder.
    private string OurPart(string path)
    {
        var below = Path.GetRelativePath(Engines, path).Split('/');
        return below[0] == ".." ? path : Path.Combine(Engines, below[0]);
    }

    private IEnumerable<PurgeTarget> CacheOf(PoolPlan plan) => Directory.Exists(Engines)
        ? Directory.EnumerateFileSystemEntries(Engines, plan.Engine.Kind + "-*")
            .Where(path => !path.EndsWith(".lock", StringComparison.Ordinal))
            .Select(path => new PurgeTarget($"cached {Path.GetFileName(path)}", path))
        : [];

    private void Check(PoolState pool, PurgeTarget target)
    {
        var folder = target.ModelId is null ? Engines : options.ModelsDir;
        if (!OurFolders.Holds(folder, target.Path))
        {
            throw new ProvisionException(ProvisionExit.Configuration,
                $"{target.Name} is '{target.Path}', which lies outside '{folder}': Loom did not fetch it and does not delete it");
        }

        foreach (var other in pools().Where(p => p.Plan.Id != pool.Plan.Id))
        {
            if (Prepared(other).Any(p => Uses(p, target.Path)))
            {
                throw new ProvisionException(ProvisionExit.Configuration, $"{target.Name} is in use by pool '{other.Plan.Id}'; purge or drain that one first");
            }
        }
    }

    private static bool Uses(PreparedEngine engine, string path) =>
        new[] { engine.Program, engine.Folder, engine.Model?.Path }.Any(p => p is not null && (p == path || p.StartsWith(path + "/", StringComparison.Ordinal)));

    private static IEnumerable<PreparedEngine> Prepared(PoolState pool) =>
        pool.Members.SelectMany(m => new[] { m.Engine, m.Incoming }).Select(s => s?.State.CurrentRun?.Prepared).OfType<PreparedEngine>();
}
