using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Binaries;
using Loom.Core.Storage;

namespace Loom.Node.Provisioning;

/// <summary>The adapter's own files: what is copied, and the hash that names an installation.</summary>
/// <param name="Folder">Folder of the sources.</param>
/// <param name="Files">Relative paths, sorted.</param>
/// <param name="Hash">First 16 hex digits of the SHA-256 over names and contents, lock file included.</param>
internal sealed record EmbeddedSources(string Folder, ImmutableArray<string> Files, string Hash)
{
    /// <summary>Reads the sources; installed packages, tests and hidden files are no part of them.</summary>
    public static async Task<EmbeddedSources> ReadAsync(string folder, CancellationToken cancellationToken)
    {
        var files = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Select(f => Path.GetRelativePath(folder, f))
            .Where(f => f != InstallMarker.FileName && !f.Split('/').Any(part => part is "node_modules" or "test" or "tests" || part[0] == '.'))
            .Order(StringComparer.Ordinal)
            .ToImmutableArray();
        var text = new StringBuilder();
        foreach (var file in files)
        {
            text.Append(file).Append(' ').Append(await Checksum.OfFileAsync(Path.Combine(folder, file), cancellationToken).ConfigureAwait(false)).Append('\n');
        }

        return new EmbeddedSources(folder, files, Checksum.Of(Encoding.UTF8.GetBytes(text.ToString()))[..16]);
    }

    /// <summary>Copies them.</summary>
    public void CopyTo(string target)
    {
        foreach (var file in Files)
        {
            var to = Path.Combine(target, file);
            Directory.CreateDirectory(Path.GetDirectoryName(to)!);
            File.Copy(Path.Combine(Folder, file), to);
        }
    }
}

/// <summary>Written last into an installed adapter: what it is made of and the checksums of everything in it that runs natively or starts it.</summary>
internal sealed record InstallMarker
{
    public const string FileName = "loom-install.json";

    /// <summary>Hash of the sources it was made from.</summary>
    public required string Hash { get; init; }

    /// <summary>Checksums by relative path.</summary>
    public required ImmutableSortedDictionary<string, string> Files { get; init; }

    /// <summary>Makes the marker of a finished installation: the adapter's files, the list of installed packages, and all native code.</summary>
    public static async Task<InstallMarker> OfAsync(string folder, EmbeddedSources sources, CancellationToken cancellationToken)
    {
        var native = Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
            .Where(f => Path.GetExtension(f) is ".node" || Path.GetFileName(f).Contains(".so", StringComparison.Ordinal)
                || Path.GetFileName(f) == ".package-lock.json")
            .Select(f => Path.GetRelativePath(folder, f));
        var sums = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var file in sources.Files.Concat(native).Distinct(StringComparer.Ordinal))
        {
            sums[file] = await Checksum.OfFileAsync(Path.Combine(folder, file), cancellationToken).ConfigureAwait(false);
        }

        return new InstallMarker { Hash = sources.Hash, Files = sums.ToImmutable() };
    }

    public void Write(string folder) => DurableFile.Write(Path.Combine(folder, FileName),
        JsonSerializer.SerializeToUtf8Bytes(this, InstallJson.Default.InstallMarker));

    /// <summary>Whether the folder holds a whole installation of these sources.</summary>
    public static async Task<bool> IsWholeAsync(string folder, EmbeddedSources sources, RememberedSums sums, CancellationToken cancellationToken)
    {
        try
        {
            var json = await File.ReadAllBytesAsync(Path.Combine(folder, FileName), cancellationToken).ConfigureAwait(false);
            return JsonSerializer.Deserialize(json, InstallJson.Default.InstallMarker) is { } marker
                && marker.Hash == sources.Hash
                && await Checksum.AllAreAsync(folder, marker.Files, sums, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(InstallMarker))]
internal sealed partial class InstallJson : JsonSerializerContext;
