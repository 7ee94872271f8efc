using System.Collections.Immutable;

namespace Loom.Node.Plans;

/// <summary>One <c>[serving.pools.NAME]</c> table with its engine: what a node keeps running.</summary>
public sealed record PoolPlan
{
    /// <summary>Name of the table.</summary>
    public required string Id { get; init; }

    public required EnginePlan Engine { get; init; }

    /// <summary>Models the pool offers: <c>[models.*]</c> ids or references; the first is loaded at start.</summary>
    public ImmutableArray<string> Models { get; init; } = ["demo"];

    /// <summary>Further names clients may use.</summary>
    public ImmutableArray<string> Aliases { get; init; } = [];

    /// <summary>Engines of the pool on this node, 1 to 64.</summary>
    public int Replicas { get; init; } = 1;

    /// <summary>Parallel sequences of an engine, 1 to 256.</summary>
    public int Slots { get; init; } = 4;

    /// <summary>Tokens per slot; null = the model's own, at most 8192.</summary>
    public int? Ctx { get; init; }

    /// <summary>Layers on the GPU; null = all when a GPU is used, else 0.</summary>
    public int? GpuLayers { get; init; }

    /// <summary>One slot and no continuous batching, so that a seed gives the same tokens.</summary>
    public bool Deterministic { get; init; }

    /// <summary>GPUs of the pool: indices, UUIDs, or <c>none</c>.</summary>
    public ImmutableArray<string> DeviceMask { get; init; } = ["0"];

    /// <summary>The mask was written for this pool, so what it names must be there.</summary>
    public bool DeviceMaskIsGiven { get; init; }

    /// <summary>Load at start; otherwise on demand.</summary>
    public bool Preload { get; init; } = true;

    /// <summary>Whether a request for another model of the pool may have it loaded in place of the present one; null = when there is more than one.</summary>
    public bool? SwapSet { get; init; }

    /// <summary>A replica nobody has used for so long is unloaded; zero = never.</summary>
    public TimeSpan IdleTtl { get; init; }

    /// <summary>How long a model stays at least, once loaded. Default 30 s.</summary>
    public TimeSpan MinResidency { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether models are changed on demand. A provider serves all of its models at once.</summary>
    public bool Swap => Engine.Kind != EngineKinds.OpenAI && (SwapSet ?? Models.Length > 1);

    /// <summary>What clients call the models: the id of a reference is its file name without <c>.gguf</c>.</summary>
    public ImmutableArray<string> ModelIds => [.. Models.Select(Provisioning.ModelReference.IdFor)];

    /// <summary>Ids of the models that can answer or be waited for once the first is loaded: all of them where models are changed on demand.</summary>
    public ImmutableArray<string> OfferedIds => Swap || Engine.Kind == EngineKinds.OpenAI ? ModelIds : [ModelIds[0]];

    /// <summary>
    /// The plan that loads another model. One of the pool's own comes to the front; any other takes the place of the one in front, which is then no longer
    /// the pool's.
    /// </summary>
    /// <param name="model">Id or reference.</param>
    public PoolPlan Loading(string model)
    {
        var ids = ModelIds;
        for (var i = 0; i < Models.Length; i++)
        {
            if (Models[i] == model || ids[i] == model)
            {
                return i == 0 ? this : this with { Models = [Models[i], .. Models.RemoveAt(i)] };
            }
        }

        return this with { Models = Models.SetItem(0, model) };
    }

    /// <summary>Slots the engine is really started with.</summary>
    public int EffectiveSlots => Deterministic ? 1 : Slots;
}

/// <summary>One <c>[models.NAME]</c> table: a catalog entry.</summary>
/// <param name="Id">Name of the table, the id clients ask for.</param>
/// <param name="Source"><c>file:</c>, <c>https://</c>, <c>hf:</c> or <c>demo</c>.</param>
public sealed record ModelPlan(string Id, string Source)
{
    /// <summary>Checksum, 64 hex digits; null = none known.</summary>
    public string? Sha256 { get; init; }

    /// <summary>Context length; null = the file's.</summary>
    public int? Ctx { get; init; }
}

/// <summary>One <c>[llm.NAME]</c> of type <c>http</c>: somebody else's OpenAI-compatible API.</summary>
/// <param name="Name">Name of the table.</param>
/// <param name="BaseUrl">Base of its routes, without a trailing slash.</param>
public sealed record ProviderPlan(string Name, Uri BaseUrl)
{
    /// <summary>Name of the model at the provider; null = what the client asks for.</summary>
    public string? Model { get; init; }

    public UpstreamCredentials Credentials { get; init; } = UpstreamCredentials.None;
}

/// <summary>
/// What must be sent to a provider and must never be shown: handed to the gateway in memory, kept out of <see cref="Loom.Wire.ReplicaStatus"/>, logs and text.
/// </summary>
/// <param name="ApiKey">Sent as a bearer token; null = none.</param>
/// <param name="Headers">Further request headers.</param>
public sealed record UpstreamCredentials(string? ApiKey, ImmutableDictionary<string, string> Headers)
{
    public static UpstreamCredentials None { get; } = new(null, ImmutableDictionary<string, string>.Empty);

    /// <summary>Says that there is a key, never which.</summary>
    public override string ToString() => ApiKey is null ? "no key" : "key set";
}
