using System.Globalization;
using System.Text;

namespace Loom.Node.Engines;

/// <summary>Reads the end of an engine's captured log: what it said before it went down.</summary>
public static class EngineLog
{
    private const int TailBytes = 32 * 1024;
    private const int LongestLastWords = 300;

    private static readonly string[] s_memoryTrouble =
    [
        "out of memory", "outofmemory", "cudaerror", "cuda error", "cublas_status_alloc_failed", "failed to allocate", "cannot allocate memory",
        "bad_alloc", "erroroutofdevicememory", "heap limit",
    ];

    /// <summary>The last <c>32 KiB</c> of the file; empty when it cannot be read.</summary>
    public static string Tail(string path)
    {
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            stream.Seek(-Math.Min(TailBytes, stream.Length), SeekOrigin.End);
            var bytes = new byte[TailBytes];
            return Encoding.UTF8.GetString(bytes, 0, stream.ReadAtLeast(bytes, TailBytes, throwOnEndOfStream: false));
        }
        catch (IOException)
        {
            return "";
        }
        catch (UnauthorizedAccessException)
        {
            return "";
        }
    }

    /// <summary>The last line that says something, without its timestamp, at most 300 characters; null when there is none.</summary>
    public static string? LastWords(string tail)
    {
        foreach (var line in tail.Split('\n').Reverse())
        {
            var text = Split(line).Text.Trim();
            if (text.Length > 0)
            {
                return text.Length > LongestLastWords ? string.Concat(text.AsSpan(0, LongestLastWords), "...") : text;
            }
        }

        return null;
    }

    /// <summary>Whether a line written at or after <paramref name="since"/> speaks of missing memory or a CUDA error. Lines without a time count.</summary>
    public static bool SpeaksOfMemoryTrouble(string tail, DateTimeOffset since)
    {
        foreach (var line in tail.Split('\n'))
        {
            var (at, text) = Split(line);
            if ((at is null || at >= since) && s_memoryTrouble.Any(sign => text.Contains(sign, StringComparison.OrdinalIgnoreCase)))
            {
                return true;
            }
        }

        return false;
    }

    private static (DateTimeOffset? At, string Text) Split(string line)
    {
        var space = line.IndexOf(' ', StringComparison.Ordinal);
        return space > 0 && DateTimeOffset.TryParse(line.AsSpan(0, space), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at)
            && line[..space].Contains('T', StringComparison.Ordinal)
            ? (at, line[(space + 1)..])
            : (null, line);
    }
}
