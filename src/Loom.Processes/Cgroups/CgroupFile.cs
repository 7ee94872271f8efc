using System.Collections.Immutable;
using System.Globalization;

namespace Loom.Processes.Cgroups;

/// <summary>Small reads and writes of the files the kernel shows in a group; what cannot be read is empty.</summary>
internal static class CgroupFile
{
    internal static ImmutableArray<string> Words(string path)
    {
        try
        {
            return [.. File.ReadAllText(path).Split([' ', '\n'], StringSplitOptions.RemoveEmptyEntries)];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }

    /// <summary>The number after <paramref name="key"/> in a file of <c>key number</c> lines; 0 when it is not there.</summary>
    internal static long Number(string path, string key)
    {
        var words = Words(path);
        var at = words.IndexOf(key);
        return at >= 0 && at + 1 < words.Length && long.TryParse(words[at + 1], NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? value : 0;
    }

    /// <summary>Writes one value.</summary>
    /// <returns>Null, or why it was refused.</returns>
    internal static string? Write(string path, string value)
    {
        try
        {
            using var file = new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.ReadWrite, bufferSize: 0);
            file.Write(System.Text.Encoding.ASCII.GetBytes(value));
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return $"'{path}': {e.Message}";
        }
    }
}
