using System.Collections.Immutable;
using Loom.Control.Catalog;
using Loom.Control.Nodes;
using Loom.Control.Tasks;
using Loom.Core.Handoff;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Operations;

/// <summary><c>/v2/pools</c>: what there is, and what operators do with it.</summary>
internal sealed class PoolRoutes(ReplicaTable replicas, OperationTable operations, INodeLink nodes, TokenRates rates)
{
    private const int LongestDeadlineMs = 3_600_000;

    private readonly PoolWork _work = new(nodes);

    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", "/v2/pools", Scopes.Manage, ListAsync),
        new("GET", "/v2/pools/{id}", Scopes.Manage, GetAsync),
        new("GET", "/v2/pools/{id}/health", Scopes.Manage, HealthAsync),
        new("POST", "/v2/pools/{id}/preload", Scopes.Manage, PreloadAsync),
        new("POST", "/v2/pools/{id}/drain", Scopes.Manage, DrainAsync),
        new("POST", "/v2/pools/{id}/undrain", Scopes.Manage, UndrainAsync),
        new("POST", "/v2/pools/{id}/reload", Scopes.Manage, ReloadAsync),
        new("POST", "/v2/pools/{id}/purge", Scopes.Manage, PurgeAsync),
    ];

    private Task ListAsync(ApiCall call)
    {
        var pools = PoolView.Of(replicas.Current, OperationOf).ToImmutableArray();
        return call.WriteAsync(StatusCodes.Status200OK, new PoolList(pools, pools.Length), PoolJson.Default.PoolList);
    }

    private Task GetAsync(ApiCall call) => call.WriteAsync(StatusCodes.Status200OK, Find(call["id"]), PoolJson.Default.PoolView);

    private Task HealthAsync(ApiCall call)
    {
        var pool = Find(call["id"]);
        var live = pool.Replicas.Any(r => r.State is "ready" or "draining" or "reloading" or "starting");
        var waiting = pool.Models.Concat(pool.Aliases).Append(pool.PoolId == ReplicaSnapshot.DefaultName ? ReplicaSnapshot.DefaultName : "").Distinct(StringComparer.Ordinal)
            .Sum(name => replicas.Current.TryResolve(name, out var route) ? route.Stats.Waiting : 0);
        var metrics = new PoolHealthMetrics(pool.SlotsFree, pool.SlotsTotal, waiting, Math.Round(rates.Of(pool.PoolId), 2));
        return call.WriteAsync(StatusCodes.Status200OK, new PoolHealth(live, pool.Ready, pool.Draining, metrics, pool.LastError), PoolJson.Default.PoolHealth);
    }

    private async Task PreloadAsync(ApiCall call)
    {
        var pool = Find(call["id"]);
        var body = await call.ReadOrAsync(PoolJson.Default.PreloadRequest, new PreloadRequest()).ConfigureAwait(false);
        if (body is { ModelRef: not null, Prepared: not null })
        {
            throw new ProblemException(Problem.Invalid("prepared", "either 'model_ref' or 'prepared' can be given, not both"));
        }

        await StartAsync(call, pool, new PoolCommand.Preload { PoolId = pool.PoolId, ModelRef = body.ModelRef, Prepared = body.Prepared is { } engine ? HandoffReader.Judge(engine, pool.PoolId) : null }).ConfigureAwait(false);
    }

    private async Task DrainAsync(ApiCall call)
    {
        var pool = Find(call["id"]);
        var body = await call.ReadOrAsync(PoolJson.Default.DrainRequest, new DrainRequest()).ConfigureAwait(false);
        await StartAsync(call, pool, new PoolCommand.Drain { PoolId = pool.PoolId, DeadlineMs = Deadline(body.DeadlineMs) }).ConfigureAwait(false);
    }

    private async Task UndrainAsync(ApiCall call)
    {
        var pool = Find(call["id"]);
        await call.ReadOrAsync(PoolJson.Default.EmptyRequest, new EmptyRequest()).ConfigureAwait(false);
        await StartAsync(call, pool, new PoolCommand.Undrain { PoolId = pool.PoolId }).ConfigureAwait(false);
    }

    private async Task ReloadAsync(ApiCall call)
    {
        var pool = Find(call["id"]);
        var body = await call.ReadAsync(PoolJson.Default.ReloadRequest).ConfigureAwait(false);
        if (string.IsNullOrEmpty(body.NewModelRef))
        {
            throw new ProblemException(Problem.Invalid("new_model_ref", "'new_model_ref' is missing: the model to load, a catalog id or a reference"));
        }

        await StartAsync(call, pool, new PoolCommand.Reload { PoolId = pool.PoolId, NewModelRef = body.NewModelRef, DeadlineMs = Deadline(body.DeadlineMs) })
            .ConfigureAwait(false);
    }

    private async Task PurgeAsync(ApiCall call)
    {
        var pool = Find(call["id"]);
        var body = await call.ReadOrAsync(PoolJson.Default.PurgeRequest, new PurgeRequest()).ConfigureAwait(false);
        var busy = replicas.Current.Replicas.Where(r => r.Status.Id.PoolId == pool.PoolId).Sum(r => r.Load.Leases);
        if (busy > 0 && body is { DrainFirst: false, Force: false })
        {
            throw new ProblemException(new Problem(
                ProblemCode.Conflict, $"pool '{pool.PoolId}' has {busy} requests in flight; give drain_first to let them finish, or force to cut them"));
        }

        await StartAsync(call, pool, new PoolCommand.Purge
        {
            PoolId = pool.PoolId,
            PurgeEngine = body.PurgeEngine,
            PurgeModels = body.PurgeModels,
            DrainFirst = body.DrainFirst,
            DeleteCacheDirs = body.DeleteCacheDirs,
            Force = body.Force,
        }).ConfigureAwait(false);
    }

    private Task StartAsync(ApiCall call, PoolView pool, PoolCommand command)
    {
        var parts = pool.Replicas.GroupBy(r => r.NodeId, StringComparer.Ordinal).Select(g => new PoolPart(g.Key, g.First().Model)).ToImmutableArray();
        var operation = operations.Start(command.Word, pool.PoolId, pool.PoolId, (running, cancel) => _work.RunAsync(running, command, parts, cancel));
        return OperationRoutes.AnswerAsync(call, operation);
    }

    private string? OperationOf(string poolId) => operations.RunningOn(poolId)?.Current.Status.Id;

    private PoolView Find(string id)
    {
        var pool = TaskJudge.IsId(id) ? PoolView.Of(replicas.Current, OperationOf).FirstOrDefault(p => p.PoolId == id) : null;
        if (pool is not null)
        {
            return pool;
        }

        var near = Nearest.Of(id, replicas.Current.Replicas.Select(r => r.Status.Id.PoolId).Distinct(StringComparer.Ordinal));
        throw new ProblemException(new Problem(
            ProblemCode.NotFound, $"there is no pool '{Redaction.Plain(id)}'{(near is null ? "" : $"; did you mean '{near}'?")}"));
    }

    private static int? Deadline(int? ms) => ms is < 0 or > LongestDeadlineMs
        ? throw new ProblemException(Problem.Invalid("deadline_ms", $"'deadline_ms' is {ms}, must be an integer from 0 to {LongestDeadlineMs}"))
        : ms;
}
