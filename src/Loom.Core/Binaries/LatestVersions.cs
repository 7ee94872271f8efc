using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Storage;
using Loom.Runtime;

namespace Loom.Core.Binaries;

/// <summary>Which version was the newest of each base of releases, as last asked: <c>latest.json</c> in the cache, believed for 24 hours.</summary>
internal sealed class LatestVersions(string cache, TimeProvider time)
{
    private static readonly TimeSpan s_believed = TimeSpan.FromHours(24);

    private string File => Path.Combine(cache, "latest.json");

    /// <summary>The version, when it was asked for less than 24 hours ago.</summary>
    public string? Find(Uri root) =>
        Read().GetValueOrDefault(KeyOf(root)) is { } known && BinaryNames.IsVersion(known.Version) && (time.GetUtcNow() - known.At).Duration() < s_believed
            ? known.Version
            : null;

    /// <summary>Notes a version. Two processes that note at once may lose one note, which is then asked for again.</summary>
    public void Note(Uri root, string version)
    {
        var all = Read();
        all[KeyOf(root)] = new LatestVersion(version, time.GetUtcNow());
        DurableFile.Write(File, JsonSerializer.SerializeToUtf8Bytes(all, LatestJson.Default.DictionaryStringLatestVersion));
    }

    private Dictionary<string, LatestVersion> Read()
    {
        try
        {
            return JsonSerializer.Deserialize(System.IO.File.ReadAllBytes(File), LatestJson.Default.DictionaryStringLatestVersion) ?? [];
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            return []; // worth one question
        }
    }

    // A base may carry a secret: only its checksum is written down.
    private static string KeyOf(Uri root) => Checksum.Of(Encoding.UTF8.GetBytes(root.OriginalString));
}

internal sealed record LatestVersion(string Version, DateTimeOffset At);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(Dictionary<string, LatestVersion>))]
internal sealed partial class LatestJson : JsonSerializerContext;
