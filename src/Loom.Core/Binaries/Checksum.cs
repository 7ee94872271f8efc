using System.Security.Cryptography;

namespace Loom.Core.Binaries;

/// <summary>SHA-256 as Loom writes it: lower-case hex.</summary>
public static class Checksum
{
    /// <summary>Checksum of a file's content.</summary>
    public static string OfFile(string path)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 17, FileOptions.SequentialScan);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    /// <summary>Checksum of a file's content, which may take minutes and can be cancelled.</summary>
    public static async Task<string> OfFileAsync(string path, CancellationToken cancellationToken)
    {
        var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 17, FileOptions.SequentialScan);
        await using (stream.ConfigureAwait(false))
        {
            return Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellationToken).ConfigureAwait(false));
        }
    }

    /// <summary>Checksum of bytes.</summary>
    public static string Of(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    /// <summary>Whether every file of a folder is there and has its checksum.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="sums">Checksums by relative path.</param>
    /// <param name="remembered">What was read before.</param>
    /// <param name="cancellationToken">Gives the work up.</param>
    public static async Task<bool> AllAreAsync(
        string folder, IEnumerable<KeyValuePair<string, string>> sums, RememberedSums remembered, CancellationToken cancellationToken)
    {
        foreach (var (file, sum) in sums)
        {
            var path = Path.Combine(folder, file);
            if (!File.Exists(path) || await remembered.OfFileAsync(path, cancellationToken).ConfigureAwait(false) != sum)
            {
                return false;
            }
        }

        return true;
    }
}
