using System.Text.Json;
using System.Text.Json.Serialization;

namespace Loom.Core.Binaries;

/// <summary>What is known of a transfer that was cut: enough to go on where it stopped, and only if the server still has the same file.</summary>
/// <param name="Source">Checksum of the url it came from: a url may carry a secret.</param>
/// <param name="Validator">Strong ETag or Last-Modified of the server's file.</param>
internal sealed record PartFile(string Source, string Validator)
{
    /// <summary>Bytes of <paramref name="part"/> worth keeping for this url, with their validator; 0 when there are none.</summary>
    public static (long Offset, string? Validator) Resumable(string part, Uri url)
    {
        try
        {
            if (File.Exists(part) && JsonSerializer.Deserialize(File.ReadAllBytes(SidecarOf(part)), PartJson.Default.PartFile) is { } known
                && known.Source == SourceOf(url))
            {
                return (new FileInfo(part).Length, known.Validator);
            }
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            // A torn note is worth nothing: start anew.
        }

        return (0, null);
    }

    /// <summary>Notes the validator beside the part file; without one a cut transfer starts anew.</summary>
    public static void Note(string part, Uri url, string? validator)
    {
        if (validator is null)
        {
            File.Delete(SidecarOf(part));
            return;
        }

        File.WriteAllBytes(SidecarOf(part), JsonSerializer.SerializeToUtf8Bytes(new PartFile(SourceOf(url), validator), PartJson.Default.PartFile));
    }

    /// <summary>Forgets a transfer.</summary>
    public static void Delete(string part)
    {
        File.Delete(part);
        File.Delete(SidecarOf(part));
    }

    /// <summary>Forgets the note of a finished transfer.</summary>
    public static void DeleteNote(string part) => File.Delete(SidecarOf(part));

    private static string SourceOf(Uri url) => Checksum.Of(System.Text.Encoding.UTF8.GetBytes(url.OriginalString));

    private static string SidecarOf(string part) => part + ".json";
}

[JsonSerializable(typeof(PartFile))]
internal sealed partial class PartJson : JsonSerializerContext;
