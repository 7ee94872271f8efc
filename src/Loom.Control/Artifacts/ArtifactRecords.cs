using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Loom.Control.Artifacts;

/// <summary>Body of <c>POST /v2/artifacts</c>.</summary>
internal sealed record ArtifactRequest
{
    /// <summary><c>plan</c>, <c>summary</c>, <c>diff</c>, <c>trace</c>, <c>transcript</c>, <c>logs</c> or <c>other</c>; required.</summary>
    public string? Kind { get; init; }

    /// <summary>Any JSON; required.</summary>
    public JsonElement Content { get; init; }

    /// <summary>Words to find it by.</summary>
    public ImmutableArray<string>? Tags { get; init; }

    /// <summary>Id of the artifact it was made from.</summary>
    public string? Parent { get; init; }

    /// <summary>Anything else, kept as it is.</summary>
    public JsonElement? Metadata { get; init; }
}

/// <summary>What is said of an artifact without its content.</summary>
internal sealed record ArtifactHead
{
    public required string Id { get; init; }

    public required string Kind { get; init; }

    public required string Digest { get; init; }

    public required long CreatedMs { get; init; }

    public required ImmutableArray<string> Tags { get; init; }

    public string? Parent { get; init; }

    public long Bytes { get; init; }
}

/// <summary>An artifact as it lies on disk and as <c>GET /v2/artifacts/{id}</c> shows it.</summary>
internal sealed record Artifact
{
    public required string Id { get; init; }

    public required string Kind { get; init; }

    public required string Digest { get; init; }

    public required long CreatedMs { get; init; }

    public required ImmutableArray<string> Tags { get; init; }

    public string? Parent { get; init; }

    public JsonElement? Metadata { get; init; }

    public required JsonElement Content { get; init; }

    /// <summary>The same without its content.</summary>
    public ArtifactHead Head(long bytes) => new() { Id = Id, Kind = Kind, Digest = Digest, CreatedMs = CreatedMs, Tags = Tags, Parent = Parent, Bytes = bytes };
}

/// <summary>Answer to <c>GET /v2/artifacts</c>.</summary>
internal sealed record ArtifactList(ImmutableArray<ArtifactHead> Artifacts, int Count);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ArtifactRequest))]
[JsonSerializable(typeof(ArtifactHead))]
[JsonSerializable(typeof(Artifact))]
[JsonSerializable(typeof(ArtifactList))]
internal sealed partial class ArtifactJson : JsonSerializerContext;
