using Loom.Runtime;

namespace Loom.Core.Binaries;

/// <summary>
/// Finds a program: the running executable or a local build, then the cache, then a download. What is cached is verified before every use; a file that does
/// not fit is moved aside and fetched again; what has no known checksum is refused unless that is allowed, and then marked. Each artifact is fetched once
/// for all who ask at the same time.
/// </summary>
/// <param name="places">Where to look.</param>
/// <param name="transfer">Fetches.</param>
/// <param name="time">Clock.</param>
public sealed class BinaryResolver(BinaryPlaces places, Transfer transfer, TimeProvider time)
{
    private readonly BinaryCache _cache = new(places.Cache, time);
    private readonly LatestVersions _latest = new(places.Cache, time);

    /// <summary>Finds or fetches it.</summary>
    /// <param name="request">What is wanted.</param>
    /// <param name="progress">Told of a download.</param>
    /// <param name="news">Told what a user should hear.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The program, or null when it is nowhere and there is no address to fetch it from.</returns>
    /// <exception cref="TransferException">It cannot be fetched, or what came or lies there is wrong.</exception>
    public async Task<ResolvedBinary?> ResolveAsync(
        BinaryRequest request, IProgress<TransferProgress> progress, Action<BinaryNews> news, CancellationToken cancellationToken)
    {
        if (!places.ForceDownload && Local(request) is { } local)
        {
            return local;
        }

        if (await VersionAsync(request, news, cancellationToken).ConfigureAwait(false) is not { } version)
        {
            return null;
        }

        try
        {
            var artifact = BinaryNames.Artifact(request.Name, version);
            if (!places.ForceDownload && await _cache.CheckAsync(request.Name, version, cancellationToken).ConfigureAwait(false) is { Trouble: null } cached
                && IsWanted(request, cached))
            {
                return Cached(cached, news);
            }

            return await UnderLockAsync(request, version, artifact, progress, news, cancellationToken).ConfigureAwait(false);
        }
        catch (ArgumentException e)
        {
            throw new TransferException(TransferFault.Refused, e.Message, e);
        }
        catch (IOException e) when (TransferDisk.IsFull(e))
        {
            throw new TransferException(TransferFault.DiskFull, $"the disk of '{places.Cache}' is full; free some space and try again", e);
        }
    }

    private async Task<ResolvedBinary?> UnderLockAsync(BinaryRequest request, string version, string artifact, IProgress<TransferProgress> progress,
        Action<BinaryNews> news, CancellationToken cancellationToken)
    {
        if (!places.ForceDownload && !File.Exists(_cache.PathOf(request.Name, version)) && !Directory.Exists(_cache.PathOf(request.Name, version))
            && NoWayToFetch(request) is var why && why is not null)
        {
            return why is "" ? null : throw new TransferException(TransferFault.Refused, $"{request.Name} {version} is not in the cache '{places.Cache}', and {why}");
        }

        var stamp = places.ForceDownload ? Stamp(_cache.PathOf(request.Name, version)) : null;
        using var held = await _cache.LockAsync(
            artifact, holder => news(new BinaryNews(BinaryNewsKind.Waiting, $"{holder} is fetching {artifact}; waiting for it")), cancellationToken).ConfigureAwait(false);
        if (await _cache.CheckAsync(request.Name, version, cancellationToken).ConfigureAwait(false) is { } there)
        {
            // Forced: what somebody else has fetched while we waited for the lock is fresh enough.
            if (there.Trouble is null && IsWanted(request, there) && (!places.ForceDownload || Stamp(_cache.PathOf(request.Name, version)) != stamp))
            {
                return Cached(there, news);
            }

            if (there.Trouble is { } trouble && !places.ForceDownload)
            {
                var aside = await _cache.MoveAsideAsync(artifact, cancellationToken).ConfigureAwait(false);
                news(new BinaryNews(BinaryNewsKind.Damaged, $"the cached {artifact} was not what it should be: {trouble}; it was moved to '{aside}'"));
                if (NoWayToFetch(request) is { } reason)
                {
                    throw new TransferException(TransferFault.Wrong,
                        $"the cached {artifact} was damaged ({trouble}), and {(reason is "" ? "no address is known to fetch it from" : reason)}");
                }
            }
        }

        if (NoWayToFetch(request) is { } none)
        {
            return none is "" ? null : throw new TransferException(TransferFault.Refused, $"{artifact} cannot be fetched: {none}");
        }

        return await FetchAsync(request, version, artifact, progress, news, cancellationToken).ConfigureAwait(false);
    }

    private async Task<ResolvedBinary?> FetchAsync(BinaryRequest request, string version, string artifact, IProgress<TransferProgress> progress,
        Action<BinaryNews> news, CancellationToken cancellationToken)
    {
        var asset = request.Url is { } url ? new ReleaseAsset(url, request.Sha256) : await AssetAsync(request, version, cancellationToken).ConfigureAwait(false);
        var (download, temp) = (_cache.DownloadOf(artifact), _cache.TempOf(artifact));
        var fetch = new TransferRequest(asset.Url, download) { Sha256 = asset.Sha256, AllowUnverified = places.AllowUnverified };
        var result = await transfer.FetchAsync(fetch, progress, cancellationToken).ConfigureAwait(false);
        try
        {
            if (request.Whole)
            {
                Directory.CreateDirectory(temp);
                Archive.Unpack(download, temp, request.Name);
            }
            else
            {
                Archive.TakeProgram(download, temp, request.Name, artifact);
            }

            await _cache.InstallAsync(artifact, temp, new Provenance(result.Sha256, result.Verified), cancellationToken).ConfigureAwait(false);
        }
        catch (InvalidDataException e)
        {
            throw new TransferException(TransferFault.Wrong, $"{ShownUrl.Of(asset.Url)} cannot be unpacked: {e.Message}", e);
        }
        finally
        {
            File.Delete(download);
            BinaryCache.RemoveFiles(temp);
        }

        var installed = await _cache.CheckAsync(request.Name, version, cancellationToken).ConfigureAwait(false);
        if (installed is not { Trouble: null })
        {
            throw new TransferException(TransferFault.Wrong, $"{artifact} was changed while it was installed: {installed?.Trouble ?? "it is gone"}");
        }

        return Told(installed, BinaryOrigin.Download, news);
    }

    private async Task<ReleaseAsset> AssetAsync(BinaryRequest request, string version, CancellationToken cancellationToken)
    {
        var release = new Release(places.Base!, transfer);
        var asset = await release.FindAsync(request.Name, version, cancellationToken).ConfigureAwait(false)
            ?? throw new TransferException(TransferFault.NotFound,
                $"{release.Shown(version)} has no {BinaryNames.Artifact(request.Name, version)}, neither as .tar.gz or .zip nor bare; check name and version");
        return request.Sha256 is { } given ? asset with { Sha256 = given } : asset;
    }

    private ResolvedBinary? Local(BinaryRequest request)
    {
        if (request.IsLoom && places.Running is { } running && (request.Exact is null || request.Exact == running.Version))
        {
            return places.PreferDebug && places.Project is { } folder && LocalBuilds.FindDebug(folder, request.Name) is { } debug
                ? new ResolvedBinary(debug, BinaryOrigin.LocalBuild, null, true)
                : new ResolvedBinary(running.Path, BinaryOrigin.Running, running.Version, true);
        }

        // Nobody can vouch for the version of a local build: one that is named exactly comes from elsewhere.
        return request.Exact is null && places.Project is { } project && LocalBuilds.Find(project, request.Name, places.PreferDebug) is { } build
            ? new ResolvedBinary(build, BinaryOrigin.LocalBuild, null, true)
            : null;
    }

    /// <summary>The one version meant; null when there is none to be had.</summary>
    private async Task<string?> VersionAsync(BinaryRequest request, Action<BinaryNews> news, CancellationToken cancellationToken)
    {
        if (request.Exact is { } exact)
        {
            return exact;
        }

        var newest = _cache.Versions(request.Name) is [var first, ..] ? first : null;
        if (request.Url is not null || places.Base is not { } root)
        {
            return places.ForceDownload ? null : newest;
        }

        if (places.Offline)
        {
            return Newest(request, newest, "the network is not to be touched", news);
        }

        if (!places.ForceDownload && _latest.Find(root) is { } known)
        {
            return known;
        }

        try
        {
            var latest = await new Release(root, transfer).LatestAsync(cancellationToken).ConfigureAwait(false);
            Directory.CreateDirectory(places.Cache);
            _latest.Note(root, latest);
            news(new BinaryNews(BinaryNewsKind.Latest, $"the newest {request.Name} is {latest}"));
            return latest;
        }
        catch (TransferException e) when (e.Fault == TransferFault.Unreachable && !places.ForceDownload && newest is not null)
        {
            return Newest(request, newest, e.Message, news);
        }
    }

    private string? Newest(BinaryRequest request, string? newest, string why, Action<BinaryNews> news)
    {
        if (newest is not null)
        {
            news(new BinaryNews(BinaryNewsKind.Latest, $"{request.Name} {newest} is the newest in the cache; a newer one was not looked for: {why}"));
        }

        return newest;
    }

    /// <summary>Why nothing can be fetched: null = it can, empty = no address is known.</summary>
    private string? NoWayToFetch(BinaryRequest request) =>
        (request.Url ?? places.Base) is null ? "" : places.Offline ? "the network is not to be touched" : null;

    // Another checksum than it was fetched as is another program under the same version.
    private static bool IsWanted(BinaryRequest request, CachedBinary cached) =>
        request.Sha256 is not { } wanted || (cached.Source is null ? cached.Verified : wanted.Equals(cached.Source, StringComparison.OrdinalIgnoreCase));

    private static ResolvedBinary Cached(CachedBinary cached, Action<BinaryNews> news) => Told(cached, BinaryOrigin.Cache, news);

    private static ResolvedBinary Told(CachedBinary found, BinaryOrigin origin, Action<BinaryNews> news)
    {
        if (!found.Verified)
        {
            news(new BinaryNews(BinaryNewsKind.Unverified, $"{found.Name} {found.Version} was fetched without a known checksum: nobody can say what it is"));
        }

        return new ResolvedBinary(found.Path, origin, found.Version, found.Verified);
    }

    private static (DateTime Written, long Bytes)? Stamp(string path) =>
        File.Exists(path) ? (File.GetLastWriteTimeUtc(path), new FileInfo(path).Length) : Directory.Exists(path) ? (Directory.GetCreationTimeUtc(path), 0) : null;
}
