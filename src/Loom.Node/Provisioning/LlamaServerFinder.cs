using Loom.Core.Binaries;
using Loom.Node.Engines;
using Loom.Node.Plans;

namespace Loom.Node.Provisioning;

/// <summary>Finds llama-server: the path the user gave; else local build, cache, PATH; else, with an address and a version, a download.</summary>
internal sealed class LlamaServerFinder(NodeOptions options, Transfer transfer, OneShot oneShot, TimeProvider time)
{
    private const string Name = "llama-server";

    /// <exception cref="ProvisionException">It is nowhere, cannot be fetched, or does not run.</exception>
    public async Task<PreparedEngine> FindAsync(PoolPlan pool, StepReporter step, CancellationToken cancellationToken)
    {
        var engine = pool.Engine;
        if (engine.Binary is { } binary)
        {
            return ToolPath.IsExecutable(binary)
                ? new PreparedEngine { Program = binary, Version = engine.Version }
                : throw new ProvisionException(ProvisionExit.NotFound,
                    $"serving.engines.{engine.Name}.binary: '{binary}' {(File.Exists(binary) ? "is not executable" : "does not exist")}");
        }

        if (await ResolveAsync(engine, step, cancellationToken).ConfigureAwait(false) is { } resolved)
        {
            if (resolved.Origin == BinaryOrigin.Download)
            {
                await TryItAsync(engine, resolved, cancellationToken).ConfigureAwait(false);
            }

            return new PreparedEngine { Program = resolved.Path, Version = resolved.Version, Verified = resolved.Verified };
        }

        // A version was asked for that nobody can vouch for in PATH.
        return engine.Version is null && ToolPath.Find(Name, options.Environment) is { } found
            ? new PreparedEngine { Program = found }
            : throw new ProvisionException(ProvisionExit.NotFound, engine.Version is null
                ? $"engine \"{engine.Name}\": llama-server is neither in a build folder, nor in the cache, nor in PATH; install it, or set "
                    + $"serving.engines.{engine.Name}.binary, or version, url and sha256"
                : $"engine \"{engine.Name}\": llama-server {engine.Version} is not in the cache; set serving.engines.{engine.Name}.url and sha256 to have "
                    + $"it fetched, or binary to its path");
    }

    private async Task<ResolvedBinary?> ResolveAsync(EnginePlan engine, StepReporter step, CancellationToken cancellationToken)
    {
        var places = new BinaryPlaces
        {
            Project = options.WorkingDirectory,
            Cache = Path.Combine(options.CacheDir, "engines"),
            PreferDebug = options.PreferDebug,
            ForceDownload = options.ForceDownload && engine.Url is not null,
            Offline = options.Offline,
            AllowUnverified = options.AllowUnverified,
        };
        var request = new BinaryRequest(Name) { Version = engine.Version, Url = engine.Url, Sha256 = engine.Sha256, Whole = true };
        try
        {
            return await new BinaryResolver(places, transfer, time)
                .ResolveAsync(request, step, news => step.Phase(news.Kind == BinaryNewsKind.Waiting ? "wait" : "note", news.Text), cancellationToken)
                .ConfigureAwait(false);
        }
        catch (TransferException e)
        {
            throw new ProvisionException(ModelFetcher.ExitOf(e.Fault), $"engine \"{engine.Name}\": {e.Message}", e);
        }
    }

    /// <summary>A program for another machine, or without its libraries, is told now and not by a crash loop.</summary>
    private async Task TryItAsync(EnginePlan engine, ResolvedBinary resolved, CancellationToken cancellationToken)
    {
        var answer = await oneShot.RunAsync("engine-provisioner-version", [resolved.Path, "--version"], options.WorkingDirectory, options.Environment,
            TimeSpan.FromSeconds(30), cancellationToken).ConfigureAwait(false);
        if (answer.Code != 0)
        {
            await new BinaryCache(Path.Combine(options.CacheDir, "engines"), time).RemoveAsync(Name, resolved.Version!, CancellationToken.None).ConfigureAwait(false);
            throw new ProvisionException(ProvisionExit.NotFound,
                $"engine \"{engine.Name}\": what {ShownUrl.Of(engine.Url!)} gave does not run here: {answer.Tail.LastOrDefault() ?? answer.Reason}");
        }
    }
}
