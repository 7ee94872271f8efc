using System.Text.Json.Serialization;
using Loom.Core.Web;
using Loom.Control.Tasks;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Sessions;

/// <summary><c>/v2/sessions</c>.</summary>
internal sealed class SessionRoutes(SessionTable sessions)
{
    private const long ShortestTtlMs = 1000;
    private const long LongestTtlMs = 30L * 24 * 3600 * 1000;

    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", "/v2/sessions", Scopes.Inference, ListAsync),
        new("GET", "/v2/sessions/{id}", Scopes.Inference, GetAsync),
        new("PUT", "/v2/sessions/{id}", Scopes.Inference, PutAsync),
        new("DELETE", "/v2/sessions/{id}", Scopes.Inference, DeleteAsync),
    ];

    /// <summary>The 404 for a session the caller does not see.</summary>
    public static ProblemException Missing(string id) => new(new Problem(ProblemCode.NotFound, $"there is no session '{id}': it never was, it has expired, or it belongs to another key"));

    private Task ListAsync(ApiCall call)
    {
        var list = sessions.List(call.Caller);
        return call.WriteAsync(StatusCodes.Status200OK, new SessionList([.. list], list.Count), SessionJson.Default.SessionList);
    }

    private Task GetAsync(ApiCall call) =>
        call.WriteAsync(StatusCodes.Status200OK, sessions.Find(call.Caller, call["id"]) ?? throw Missing(call["id"]), SessionJson.Default.SessionView);

    private async Task PutAsync(ApiCall call)
    {
        var id = call["id"];
        if (!TaskJudge.IsId(id))
        {
            throw new ProblemException(Problem.Invalid("id", $"'{id}' is no session id: 1 to 128 letters, digits and . _ : - are expected"));
        }

        var body = await call.ReadAsync(SessionJson.Default.SessionRequest).ConfigureAwait(false);
        if (body.TtlMs is < ShortestTtlMs or > LongestTtlMs)
        {
            throw new ProblemException(Problem.Invalid("ttl_ms", $"'ttl_ms' is {body.TtlMs}, must be an integer from {ShortestTtlMs} to {LongestTtlMs}"));
        }

        CheckNotNegative(body.Budgets?.Tokens, "budgets.tokens");
        CheckNotNegative(body.Budgets?.TimeMs, "budgets.time_ms");
        CheckNotNegative(body.Budgets?.Cost, "budgets.cost");
        var limits = body.Budgets is { } budgets ? new Limits(budgets.Tokens, budgets.TimeMs, budgets.Cost) : null;
        var view = sessions.Put(call.Caller, id, body.TtlMs is { } ttl ? TimeSpan.FromMilliseconds(ttl) : null, limits);
        await call.WriteAsync(StatusCodes.Status200OK, view, SessionJson.Default.SessionView).ConfigureAwait(false);
    }

    private Task DeleteAsync(ApiCall call) =>
        sessions.Delete(call.Caller, call["id"]) ? call.EmptyAsync(StatusCodes.Status204NoContent) : throw Missing(call["id"]);

    private static void CheckNotNegative(double? value, string field)
    {
        if (value is < 0 || value is { } number && !double.IsFinite(number))
        {
            throw new ProblemException(Problem.Invalid(field, FormattableString.Invariant($"'{field}' is {value}, must be 0 or more; leave it out for no limit")));
        }
    }
}

/// <summary>Body of <c>PUT /v2/sessions/{id}</c>.</summary>
internal sealed record SessionRequest
{
    /// <summary>How long it lives unused, milliseconds; default 600000.</summary>
    public long? TtlMs { get; init; }

    /// <summary>What it may use in all; what is left out has no limit. Without this object the budgets stay as they are.</summary>
    public SessionBudgets? Budgets { get; init; }
}

/// <summary>Budgets of a session.</summary>
internal sealed record SessionBudgets
{
    public long? Tokens { get; init; }

    public long? TimeMs { get; init; }

    public double? Cost { get; init; }
}

/// <summary>Answer to <c>GET /v2/sessions</c>.</summary>
internal sealed record SessionList(System.Collections.Immutable.ImmutableArray<SessionView> Sessions, int Count);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SessionRequest))]
[JsonSerializable(typeof(SessionView))]
[JsonSerializable(typeof(SessionList))]
internal sealed partial class SessionJson : JsonSerializerContext;
