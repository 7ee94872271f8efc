using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Loom.Wire;

namespace Loom.Control.Catalog;

/// <summary>Whether a model is offered.</summary>
internal enum ModelOffer
{
    /// <summary>It is.</summary>
    Active,

    /// <summary>It is not any more; requests for it are unknown models.</summary>
    Retired,
}

/// <summary>One model as somebody registered it. A model that nodes know and nobody registered has no entry, unless it was retired.</summary>
internal sealed record CatalogEntry
{
    public required string Id { get; init; }

    /// <summary><c>sha256:</c> and 64 hex digits; null = none given.</summary>
    public string? Digest { get; init; }

    public string? SourceUrl { get; init; }

    public ImmutableArray<string> Tags { get; init => field = value.IsDefault ? [] : value; } = [];

    public ModelOffer State { get; init; }

    public required long CreatedMs { get; init; }

    /// <summary>False for an entry that only remembers the state of a model the nodes know.</summary>
    public bool Registered { get; set; } = true;
}

/// <summary>Content of the catalog's file.</summary>
internal sealed record CatalogFile(int Version, ImmutableArray<CatalogEntry> Models);

/// <summary>Body of <c>POST /v2/catalog/models</c>.</summary>
internal sealed record CatalogRequest
{
    public string? Id { get; init; }

    public string? Digest { get; init; }

    public string? SourceUrl { get; init; }

    public ImmutableArray<string>? Tags { get; init; }

    /// <summary>Whether all nodes fetch it now.</summary>
    public bool Fetch { get; init; }
}

/// <summary>Body of <c>POST …/state</c>.</summary>
internal sealed record CatalogStateRequest
{
    public string? State { get; init; }

    public int? DeadlineMs { get; init; }
}

/// <summary>One model, as <c>GET /v2/catalog/models/{id}</c> shows it.</summary>
internal sealed record CatalogView
{
    public required string Id { get; init; }

    public string? Digest { get; init; }

    public string? SourceUrl { get; init; }

    public required ImmutableArray<string> Tags { get; init; }

    public required ModelOffer State { get; init; }

    public long? CreatedMs { get; init; }

    public required bool Registered { get; init; }

    public string? Description { get; init; }

    public required bool Mock { get; init; }

    /// <summary>Where it can be served.</summary>
    public required ImmutableArray<CatalogNode> Nodes { get; init; }

    /// <summary>Operation that fetches or checks it now; null = none.</summary>
    public OperationStatus? Fetch { get; init; }
}

/// <summary>A node that lists a model.</summary>
internal sealed record CatalogNode(string NodeId, string PoolId, bool Loaded, int SlotsTotal);

/// <summary>Answer to <c>GET /v2/catalog/models</c>.</summary>
internal sealed record CatalogList(ImmutableArray<CatalogView> Models, int Count);

/// <summary>Answer to <c>GET /v2/catalog/availability</c>.</summary>
internal sealed record CatalogAvailability(ImmutableArray<ModelAvailability> Models, int TotalModels, int ReplicatedModels, int SingleNodeModels);

/// <summary>Where one model can be served.</summary>
internal sealed record ModelAvailability(string ModelId, ImmutableArray<string> Nodes, int TotalNodes, int TotalCapacity);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, Converters = [typeof(ModelOfferNames), typeof(OperationStateNames)])]
[JsonSerializable(typeof(CatalogFile))]
[JsonSerializable(typeof(CatalogRequest))]
[JsonSerializable(typeof(CatalogStateRequest))]
[JsonSerializable(typeof(CatalogView))]
[JsonSerializable(typeof(CatalogList))]
[JsonSerializable(typeof(CatalogAvailability))]
internal sealed partial class CatalogRecordsJson : JsonSerializerContext;

/// <summary><c>Active</c>, <c>Retired</c>.</summary>
internal sealed class ModelOfferNames() : JsonStringEnumConverter<ModelOffer>(namingPolicy: null, allowIntegerValues: false);
