using System.Collections.Concurrent;
using Loom.Core.Storage;

namespace Loom.Core.Binaries;

/// <summary>Checksums by path, each good for as long as the kernel says that the file is what it was. Safe for any thread.</summary>
public sealed class RememberedSums
{
    private readonly ConcurrentDictionary<string, (FileStat File, string Sum)> _sums = new(StringComparer.Ordinal);

    /// <summary>SHA-256 of a file, lower-case hex; read only when it has changed or was never read.</summary>
    /// <exception cref="IOException">It is not there or cannot be read.</exception>
    public async Task<string> OfFileAsync(string path, CancellationToken cancellationToken)
    {
        // Looked at before it is read: what changes meanwhile differs from this the next time.
        var file = FileStat.Of(path, follow: true);
        if (file is { } now && _sums.TryGetValue(path, out var known) && known.File == now)
        {
            return known.Sum;
        }

        var sum = await Checksum.OfFileAsync(path, cancellationToken).ConfigureAwait(false);
        if (file is { } read)
        {
            _sums[path] = (read, sum);
        }

        return sum;
    }
}
