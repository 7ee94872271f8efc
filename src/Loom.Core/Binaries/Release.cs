using Loom.Runtime;

namespace Loom.Core.Binaries;

/// <summary>A file of a release.</summary>
/// <param name="Url">Its address.</param>
/// <param name="Sha256">Checksum the release publishes for it; null = none.</param>
internal sealed record ReleaseAsset(Uri Url, string? Sha256);

/// <summary>
/// Releases below one base address: <c>{base}/v{version}/{name}-v{version}-{platform}</c> as <c>.tar.gz</c>, <c>.zip</c> or the bare program, with their
/// checksums in <c>checksums.txt</c> beside them or in <c>FILE.sha256</c>.
/// </summary>
internal sealed class Release(Uri root, Transfer transfer)
{
    private static readonly string[] s_forms = [".tar.gz", ".zip", ""];

    /// <summary>
    /// The newest version. Asked at <c>{base}/latest</c>, or for a base that ends in <c>/download</c> (as those of GitHub do) beside it: <c>.../releases/latest</c>.
    /// </summary>
    /// <exception cref="TransferException">There is no such document, or it names no version, or nobody answers.</exception>
    public async Task<string> LatestAsync(CancellationToken cancellationToken)
    {
        const string Download = "/download";
        var path = root.AbsolutePath.TrimEnd('/');
        var url = At(path.EndsWith("/releases" + Download, StringComparison.Ordinal) ? path[..^Download.Length] + "/latest" : path + "/latest");
        return await transfer.VersionAsync(url, cancellationToken).ConfigureAwait(false) is { } version
            ? BinaryNames.Plain(version)
            : throw new TransferException(TransferFault.NotFound, $"{ShownUrl.Of(url)} does not exist: no newest version is published there; name an exact one");
    }

    /// <summary>The file of a program; null when the release has none.</summary>
    /// <exception cref="TransferException">Nobody answers.</exception>
    public async Task<ReleaseAsset?> FindAsync(string name, string version, CancellationToken cancellationToken)
    {
        var artifact = BinaryNames.Artifact(name, version);
        if (await transfer.TextAsync(Of(version, BinaryNames.ChecksumFile), cancellationToken).ConfigureAwait(false) is { } list)
        {
            var sums = BinaryNames.ReadChecksums(list);
            foreach (var form in s_forms)
            {
                if (sums.TryGetValue(artifact + form, out var sum))
                {
                    return new ReleaseAsset(Of(version, artifact + form), sum);
                }
            }
        }

        foreach (var form in s_forms)
        {
            var beside = await transfer.TextAsync(Of(version, artifact + form + ".sha256"), cancellationToken).ConfigureAwait(false);
            if (beside?.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).FirstOrDefault() is { Length: 64 } sum && sum.All(char.IsAsciiHexDigit))
            {
                return new ReleaseAsset(Of(version, artifact + form), sum.ToLowerInvariant());
            }
        }

        foreach (var form in s_forms)
        {
            if (await transfer.ExistsAsync(Of(version, artifact + form), cancellationToken).ConfigureAwait(false))
            {
                return new ReleaseAsset(Of(version, artifact + form), null);
            }
        }

        return null;
    }

    /// <summary>Where the files of a version lie, as it may be shown.</summary>
    public string Shown(string version) => ShownUrl.Of(Of(version, ""));

    private Uri Of(string version, string file) => At($"{root.AbsolutePath.TrimEnd('/')}/v{version}/{file}");

    private Uri At(string path) => new UriBuilder(root) { Path = path }.Uri;
}
