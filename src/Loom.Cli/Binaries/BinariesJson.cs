using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Binaries;
using Loom.Runtime;

namespace Loom.Cli.Binaries;

/// <summary>A line of <c>loom binaries list</c> and <c>verify</c>.</summary>
/// <param name="Name">Name of the program.</param>
/// <param name="Version">Its version; for one that is not there the one the project asks for.</param>
/// <param name="State"><c>running</c>, <c>verified</c>, <c>unverified</c>, <c>unknown</c> (no checksum is recorded), <c>local</c>, <c>not fetched</c>; of a check: <c>ok</c>,
/// <c>unverified</c>, <c>damaged</c>.</param>
/// <param name="Path">Where it lies; null = nowhere.</param>
/// <param name="Bytes">Its size; null = not known.</param>
internal sealed record BinaryRow(string Name, string Version, string State, string? Path, long? Bytes)
{
    /// <summary>What is wrong with it; null = nothing that is known.</summary>
    public string? Trouble { get; init; }
}

internal sealed record BinaryList(int Schema, string Cache, string Platform, IReadOnlyList<BinaryRow> Binaries);

internal sealed record FetchedBinary(int Schema, string Name, string? Version, string Path, string Origin, bool Verified);

internal sealed record PrunedBinaries(int Schema, string Cache, bool DryRun, IReadOnlyList<string> Deleted);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(BinaryList))]
[JsonSerializable(typeof(FetchedBinary))]
[JsonSerializable(typeof(PrunedBinaries))]
internal sealed partial class BinariesJson : JsonSerializerContext
{
    public static string Of(string cache, IReadOnlyList<BinaryRow> rows) =>
        JsonSerializer.Serialize(new BinaryList(1, cache, BinaryNames.Platform, rows), Default.BinaryList);

    public static string Of(string name, ResolvedBinary found) => JsonSerializer.Serialize(
        new FetchedBinary(
            1,
            name,
            found.Version,
            found.Path,
            found.Origin switch
            {
                BinaryOrigin.Running => "running",
                BinaryOrigin.LocalBuild => "local",
                BinaryOrigin.Cache => "cache",
                _ => "download",
            },
            found.Verified),
        Default.FetchedBinary);

    public static string Pruned(string cache, IReadOnlyList<string> deleted, bool dryRun) =>
        JsonSerializer.Serialize(new PrunedBinaries(1, cache, dryRun, deleted), Default.PrunedBinaries);
}
