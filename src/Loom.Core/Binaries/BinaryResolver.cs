using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Storage;

namespace Loom.Core.Binaries;

/// <summary>
/// Finds a program: local build, then cache, then download. A cached one is verified before every use, one that fails is moved aside and fetched again;
/// one without a known checksum is refused unless that is allowed, and then marked. Each artifact is installed whole (its archive may bring libraries)
/// into a folder <c>NAME-vVERSION-PLATFORM</c>, once for all who ask.
/// </summary>
/// <param name="places">Where to look.</param>
/// <param name="transfer">Fetches.</param>
/// <param name="time">Clock.</param>
public sealed class BinaryResolver(BinaryPlaces places, Transfer transfer, TimeProvider time)
{
    private const int Parents = 5;
    private static readonly string[] s_release = ["target/release", "bin/Release"];
    private static readonly string[] s_debug = ["target/debug", "bin/Debug"];

    /// <summary>Finds or fetches it.</summary>
    /// <param name="request">What is wanted.</param>
    /// <param name="progress">Told of a download.</param>
    /// <param name="waiting">Told once when another process holds the lock.</param>
    /// <param name="cancellationToken">Ends the work.</param>
    /// <returns>The program, or null when it is nowhere and there is no address to fetch it from.</returns>
    /// <exception cref="TransferException">It cannot be fetched, or what came is wrong.</exception>
    public async Task<ResolvedBinary?> ResolveAsync(BinaryRequest request,
        IProgress<TransferProgress> progress, Action<string> waiting, CancellationToken cancellationToken)
    {
        if (!places.ForceDownload)
        {
            if (request.Version is null && LocalBuild(request.Name) is { } local)
            {
                return new ResolvedBinary(local, BinaryOrigin.LocalBuild, null, true);
            }

            if (await CachedAsync(request, cancellationToken).ConfigureAwait(false) is { } cached)
            {
                return cached;
            }
        }

        if (request.Url is not { } url || request.PlainVersion is not { } version)
        {
            return null;
        }

        if (places.Offline)
        {
            throw new TransferException(TransferFault.Refused,
                $"{request.Name} {request.Version} is not in the cache '{places.Cache}', and the network is not to be touched");
        }

        Directory.CreateDirectory(places.Cache);
        var folder = FolderOf(request.Name, version);
        using var held = await ArtifactLock.TakeAsync(folder + ".lock", waiting, time, cancellationToken).ConfigureAwait(false);
        if (!places.ForceDownload && await CachedAsync(request, cancellationToken).ConfigureAwait(false) is { } meanwhile)
        {
            return meanwhile;
        }

        return await InstallAsync(request, url, version, folder, progress, cancellationToken).ConfigureAwait(false);
    }

    private async Task<ResolvedBinary> InstallAsync(BinaryRequest request, Uri url, string version, string folder,
        IProgress<TransferProgress> progress, CancellationToken cancellationToken)
    {
        var download = folder + ".download";
        var temp = $"{folder}.{Guid.NewGuid():N}.tmp";
        var fetch = new TransferRequest(url, download) { Sha256 = request.Sha256, AllowUnverified = places.AllowUnverified };
        var result = await transfer.FetchAsync(fetch, progress, cancellationToken).ConfigureAwait(false);
        try
        {
            Directory.CreateDirectory(temp);
            var program = Archive.Unpack(download, temp, request.Name);
            var note = new BinaryNote
            {
                Program = Path.GetRelativePath(temp, program),
                Version = version,
                Source = url.OriginalString,
                Sha256 = await SumsAsync(temp, cancellationToken).ConfigureAwait(false),
                Verified = result.Verified,
            };
            note.Write(temp);
            MoveAside(folder);
            Directory.Move(temp, folder);
            return new ResolvedBinary(Path.Combine(folder, note.Program), BinaryOrigin.Download, version, result.Verified);
        }
        catch (InvalidDataException e)
        {
            throw new TransferException(TransferFault.Wrong, $"{url} cannot be unpacked: {e.Message}", e);
        }
        catch (IOException e) when (TransferDisk.IsFull(e))
        {
            throw new TransferException(TransferFault.DiskFull, $"the disk of '{places.Cache}' is full", e);
        }
        finally
        {
            File.Delete(download);
            if (Directory.Exists(temp))
            {
                Directory.Delete(temp, recursive: true);
            }
        }
    }

    private static async Task<Dictionary<string, string>> SumsAsync(string folder, CancellationToken cancellationToken)
    {
        var sums = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories))
        {
            sums[Path.GetRelativePath(folder, file)] = await Checksum.OfFileAsync(file, cancellationToken).ConfigureAwait(false);
        }

        return sums;
    }

    private string? LocalBuild(string name)
    {
        var order = places.PreferDebug ? s_debug.Concat(s_release) : s_release.Concat(s_debug);
        var folder = places.Project;
        for (var i = 0; i <= Parents && folder is not null; i++, folder = Path.GetDirectoryName(folder))
        {
            foreach (var build in order)
            {
                var candidate = Path.Combine(folder, build, name);
                if (File.Exists(candidate) && FileOwner.IsTrusted(Path.GetDirectoryName(candidate)!))
                {
                    return candidate;
                }
            }
        }

        return null;
    }

    private async Task<ResolvedBinary?> CachedAsync(BinaryRequest request, CancellationToken cancellationToken)
    {
        var folder = request.PlainVersion is { } version ? FolderOf(request.Name, version) : Newest(request.Name);
        if (folder is null || BinaryNote.Read(folder) is not { } note)
        {
            return null;
        }

        if (!await Checksum.AllAreAsync(folder, note.Sha256, cancellationToken).ConfigureAwait(false))
        {
            if (request.Url is not null && !places.Offline)
            {
                return null; // fetched again; the damaged one is moved aside then
            }

            throw new TransferException(TransferFault.Wrong,
                $"the cached '{folder}' is damaged: a file in it has another checksum than when it was fetched; delete the folder, or give its address so "
                    + "that it can be fetched again");
        }

        return note.Verified || places.AllowUnverified
            ? new ResolvedBinary(Path.Combine(folder, note.Program), BinaryOrigin.Cache, note.Version, note.Verified)
            : null;
    }

    private string? Newest(string name) => !Directory.Exists(places.Cache)
        ? null
        : Directory.EnumerateDirectories(places.Cache, $"{name}-v*-{PlatformTag.Current}")
        .OrderByDescending(f => f, Comparer<string>.Create(CompareVersions))
        .FirstOrDefault();

    // b5000 is newer than b999, 1.10 than 1.9: runs of digits compare as numbers.
    internal static int CompareVersions(string a, string b)
    {
        var (i, j) = (0, 0);
        while (i < a.Length && j < b.Length)
        {
            var (left, right) = (Run(a, i), Run(b, j));
            var order = char.IsAsciiDigit(a[i]) && char.IsAsciiDigit(b[j])
                ? (left.TrimStart('0').Length, left.TrimStart('0')).CompareTo((right.TrimStart('0').Length, right.TrimStart('0')))
                : string.CompareOrdinal(left, right);
            if (order != 0)
            {
                return order;
            }

            (i, j) = (i + left.Length, j + right.Length);
        }

        return a.Length.CompareTo(b.Length);
    }

    private static string Run(string text, int start)
    {
        var end = start + 1;
        while (end < text.Length && char.IsAsciiDigit(text[end]) == char.IsAsciiDigit(text[start]))
        {
            end++;
        }

        return text[start..end];
    }

    private void MoveAside(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Move(folder, string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{folder}.replaced-{time.GetUtcNow():yyyyMMddHHmmssfff}"));
        }
    }

    private string FolderOf(string name, string version) => Path.Combine(places.Cache, $"{name}-v{version}-{PlatformTag.Current}");
}

/// <summary>What is remembered of an installed program, as <c>loom-binary.json</c> in its folder.</summary>
internal sealed record BinaryNote
{
    private const string FileName = "loom-binary.json";

    /// <summary>Relative path of the executable.</summary>
    public required string Program { get; init; }

    public required string Version { get; init; }

    public required string Source { get; init; }

    /// <summary>Checksums of all files by relative path.</summary>
    public required Dictionary<string, string> Sha256 { get; init; }

    /// <summary>False when no checksum was known when it was fetched.</summary>
    public required bool Verified { get; init; }

    public void Write(string folder) => DurableFile.Write(Path.Combine(folder, FileName),
        JsonSerializer.SerializeToUtf8Bytes(this, BinaryJson.Default.BinaryNote));

    public static BinaryNote? Read(string folder)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(folder, FileName)), BinaryJson.Default.BinaryNote);
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(BinaryNote))]
internal sealed partial class BinaryJson : JsonSerializerContext;
