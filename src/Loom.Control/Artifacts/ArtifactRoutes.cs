using System.Text.Json;
using Loom.Core.Settings;
using Loom.Core.Web;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Artifacts;

/// <summary><c>/v2/artifacts</c>.</summary>
internal sealed class ArtifactRoutes(ArtifactStore store)
{
    private const int Largest = 16 * 1024 * 1024;
    private const int MostTags = 64;
    private const int LongestTag = 128;

    private static readonly string[] s_kinds = ["plan", "summary", "diff", "trace", "transcript", "logs", "other"];

    public IEnumerable<ApiRoute> Routes =>
    [
        new("POST", "/v2/artifacts", Scopes.Manage, PostAsync),
        new("GET", "/v2/artifacts", Scopes.Manage, ListAsync),
        new("GET", "/v2/artifacts/{id}", Scopes.Manage, GetAsync),
    ];

    private async Task PostAsync(ApiCall call)
    {
        var request = await call.ReadAsync(ArtifactJson.Default.ArtifactRequest, limit: Largest).ConfigureAwait(false);
        var kind = Kind(request.Kind ?? throw new ProblemException(Problem.Invalid("kind", "'kind' is missing")), "kind");
        if (request.Content.ValueKind == JsonValueKind.Undefined)
        {
            throw new ProblemException(Problem.Invalid("content", "'content' is missing"));
        }

        if (request.Tags is { IsDefault: false } tags && (tags.Length > MostTags || tags.Any(t => t is not { Length: > 0 and <= LongestTag })))
        {
            throw new ProblemException(Problem.Invalid("tags", $"'tags' must be at most {MostTags} texts of 1 to {LongestTag} characters"));
        }

        CheckId(request.Parent, "parent");
        var head = store.Put(kind, request, out var isNew);
        await call.WriteAsync(isNew ? StatusCodes.Status201Created : StatusCodes.Status200OK, head, ArtifactJson.Default.ArtifactHead).ConfigureAwait(false);
    }

    private Task ListAsync(ApiCall call)
    {
        var list = store.List(call.Query("kind") is { } kind ? Kind(kind, "kind") : null, call.Query("tag"));
        return call.WriteAsync(StatusCodes.Status200OK, new ArtifactList(list, list.Length), ArtifactJson.Default.ArtifactList);
    }

    private Task GetAsync(ApiCall call)
    {
        CheckId(call["id"], "id");
        return call.WriteAsync(StatusCodes.Status200OK, store.Get(call["id"]), ArtifactJson.Default.Artifact);
    }

    private static string Kind(string kind, string field) => s_kinds.Contains(kind)
        ? kind
        : throw new ProblemException(Problem.Invalid(field, $"'{field}' is '{Redaction.Plain(kind)}', must be one of {string.Join(", ", s_kinds)}"));

    private static void CheckId(string? id, string field)
    {
        if (id is not null && !ArtifactStore.IsId(id))
        {
            throw new ProblemException(Problem.Invalid(field, $"'{field}' is '{Redaction.Plain(id)}', must be the id of an artifact: 64 hex digits in lower case"));
        }
    }
}
