using System.Text.Json.Serialization;
using Loom.Control.Catalog;
using Loom.Control.Tasks;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Nodes;

/// <summary>
/// <c>POST /v2/workers/register</c>, for development only: an engine that somebody started by hand becomes a replica until this process ends. Nobody probes
/// or restarts it; a request that meets a fault is tried elsewhere.
/// </summary>
internal sealed class WorkerRoutes(ReplicaTable replicas, TimeProvider time)
{
    /// <summary>Node that registered workers are shown under.</summary>
    public const string NodeId = "dev";

    /// <summary>How such a replica came to be, as its status says.</summary>
    public const string Source = "dev";

    public IEnumerable<ApiRoute> Routes => [new("POST", "/v2/workers/register", Scopes.Manage, RegisterAsync)];

    private async Task RegisterAsync(ApiCall call)
    {
        var request = await call.ReadAsync(WorkerJson.Default.WorkerRequest).ConfigureAwait(false);
        var pool = Id(request.PoolId, "pool_id");
        var replica = Id(request.ReplicaId, "replica_id");
        if (request.Url is not { } url || !Uri.TryCreate(url, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
        {
            throw new ProblemException(Problem.Invalid("url", $"'url' is '{Redaction.Plain(request.Url ?? "")}', must be the http address of the engine's OpenAI routes, for example http://127.0.0.1:8000/v1"));
        }

        // It serves what its pool serves; in a pool of its own its model is called like the pool.
        var like = replicas.Told.FirstOrDefault(r => r.Id.PoolId == pool);
        var status = new ReplicaStatus
        {
            Id = new ReplicaId(NodeId, pool, replica),
            State = ReplicaState.Ready,
            EngineKind = "command",
            Model = like?.Model ?? pool,
            Models = like is null ? [pool] : [like.Model],
            Aliases = like?.Aliases ?? [],
            SlotsTotal = like?.SlotsTotal ?? 4,
            Ctx = like?.Ctx,
            Url = url.TrimEnd('/'),
            SinceMs = time.GetUtcNow().ToUnixTimeMilliseconds(),
            Source = Source,
        };
        replicas.Adopt(status);
        await call.WriteAsync(StatusCodes.Status200OK, new WorkerAnswer(true, status.Id.ToString(), pool, replica), WorkerJson.Default.WorkerAnswer).ConfigureAwait(false);
    }

    private static string Id(string? id, string field) => id is not null && TaskJudge.IsId(id)
        ? id
        : throw new ProblemException(Problem.Invalid(field, $"'{field}' is '{Redaction.Plain(id ?? "")}', must be 1 to 128 letters, digits and . _ : -"));
}

/// <summary>Body of <c>POST /v2/workers/register</c>.</summary>
internal sealed record WorkerRequest
{
    public string? PoolId { get; init; }

    public string? ReplicaId { get; init; }

    public string? Url { get; init; }
}

/// <summary>Its answer.</summary>
internal sealed record WorkerAnswer(bool Ok, string Identity, string PoolId, string ReplicaId);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(WorkerRequest))]
[JsonSerializable(typeof(WorkerAnswer))]
internal sealed partial class WorkerJson : JsonSerializerContext;
