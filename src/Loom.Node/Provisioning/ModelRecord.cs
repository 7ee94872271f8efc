using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Storage;

namespace Loom.Node.Provisioning;

/// <summary>What is remembered beside a fetched model, as <c>FILE.json</c>.</summary>
public sealed record ModelRecord
{
    /// <summary>Id it was fetched under.</summary>
    public required string Id { get; init; }

    /// <summary>Where it came from: an address, or <c>demo</c>.</summary>
    public required string Source { get; init; }

    public required string Sha256 { get; init; }

    public required long Bytes { get; init; }

    /// <summary>False when no checksum was known when it was fetched.</summary>
    public required bool Verified { get; init; }

    public required DateTimeOffset FetchedAt { get; init; }

    /// <summary>Reads the record beside a model; null when there is none that can be read.</summary>
    public static ModelRecord? Read(string model)
    {
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(PathOf(model)), ModelJson.Default.ModelRecord);
        }
        catch (Exception e) when (e is IOException or JsonException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Writes it beside the model.</summary>
    public void Write(string model) => DurableFile.Write(PathOf(model), JsonSerializer.SerializeToUtf8Bytes(this, ModelJson.Default.ModelRecord));

    /// <summary>Path of the record of a model.</summary>
    public static string PathOf(string model) => model + ".json";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(ModelRecord))]
internal sealed partial class ModelJson : JsonSerializerContext;
