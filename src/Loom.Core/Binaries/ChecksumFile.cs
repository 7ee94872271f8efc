using System.Collections.Immutable;
using System.Text;
using Loom.Core.Storage;
using Loom.Runtime;

namespace Loom.Core.Binaries;

/// <summary>How an artifact came into the cache.</summary>
/// <param name="Source">SHA-256 of the file or archive it was fetched as; null = not known, as for one put there by hand.</param>
/// <param name="Verified">Whether that checksum was known beforehand.</param>
internal sealed record Provenance(string? Source, bool Verified);

/// <summary>
/// <c>checksums.txt</c> of a cache: lines of <c>sha256sum</c>, so that <c>sha256sum -c</c> reads it, with a comment for each artifact that says how it came.
/// Immutable; changes make a new one.
/// </summary>
internal sealed record ChecksumFile(ImmutableSortedDictionary<string, string> Sums, ImmutableSortedDictionary<string, Provenance> Notes)
{
    private const string Head = "# Programs fetched by Loom, which checks them before each use; so does: sha256sum -c checksums.txt\n";

    public static ChecksumFile Empty { get; } = new(
        ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal), ImmutableSortedDictionary.Create<string, Provenance>(StringComparer.Ordinal));

    /// <summary>Reads the file of a cache folder; an absent one is empty.</summary>
    public static ChecksumFile Read(string folder)
    {
        try
        {
            return Parse(File.ReadAllText(Path.Combine(folder, BinaryNames.ChecksumFile)));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return Empty;
        }
    }

    public static ChecksumFile Parse(string text)
    {
        var notes = Empty.Notes.ToBuilder();
        foreach (var line in text.Split('\n'))
        {
            if (line.TrimEnd().Split(' ') is ["#", var artifact, "fetched-as", var source, "verified" or "unverified"] words)
            {
                notes[artifact] = new Provenance(source is "-" ? null : source, words[^1] is "verified");
            }
        }

        return new ChecksumFile(Empty.Sums.AddRange(BinaryNames.ReadChecksums(text)), notes.ToImmutable());
    }

    /// <summary>Replaces the file of a cache folder, durably.</summary>
    public void Write(string folder) => DurableFile.Write(Path.Combine(folder, BinaryNames.ChecksumFile), Encoding.UTF8.GetBytes(Text()), (UnixFileMode)0b110_100_100);

    public string Text()
    {
        var text = new StringBuilder(Head);
        foreach (var artifact in Sums.Keys.Select(ArtifactOf).Distinct(StringComparer.Ordinal))
        {
            if (Notes.TryGetValue(artifact, out var note))
            {
                text.Append("# ").Append(artifact).Append(" fetched-as ").Append(note.Source ?? "-").Append(note.Verified ? " verified\n" : " unverified\n");
            }

            foreach (var (path, sum) in Sums.Where(s => ArtifactOf(s.Key) == artifact))
            {
                text.Append(sum).Append("  ").Append(path).Append('\n');
            }
        }

        return text.ToString();
    }

    /// <summary>The checksums of one artifact, by path from the cache folder: the artifact itself, or the files in it.</summary>
    public IEnumerable<KeyValuePair<string, string>> Of(string artifact) => Sums.Where(s => ArtifactOf(s.Key) == artifact);

    public ChecksumFile With(string artifact, IEnumerable<KeyValuePair<string, string>> sums, Provenance note)
    {
        var without = Without(artifact);
        return new ChecksumFile(without.Sums.SetItems(sums), without.Notes.SetItem(artifact, note));
    }

    public ChecksumFile Without(string artifact) => new(Sums.RemoveRange(Of(artifact).Select(s => s.Key)), Notes.Remove(artifact));

    private static string ArtifactOf(string path) => path.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash ? path[..slash] : path;
}
