using System.Collections.Immutable;
using Loom.Control.Admission;
using Loom.Control.Nodes;
using Loom.Control.Operations;
using Loom.Control.Tasks;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Catalog;

/// <summary><c>/v2/catalog</c>: models that somebody registered, and those the nodes have.</summary>
internal sealed class CatalogRoutes(
    CatalogStore store, ReplicaTable replicas, OperationTable operations, INodeLink nodes, AdmissionDesk desk, TimeSpan drainDeadline, TimeProvider time)
{
    private const int LongestDeadlineMs = 3_600_000;
    private const int MostTags = 64;

    public IEnumerable<ApiRoute> Routes =>
    [
        new("POST", "/v2/catalog/models", Scopes.Manage, PostAsync),
        new("GET", "/v2/catalog/models", Scopes.Manage, ListAsync),
        new("GET", "/v2/catalog/models/{id}", Scopes.Manage, GetAsync),
        new("DELETE", "/v2/catalog/models/{id}", Scopes.Manage, DeleteAsync),
        new("POST", "/v2/catalog/models/{id}/verify", Scopes.Manage, VerifyAsync),
        new("POST", "/v2/catalog/models/{id}/state", Scopes.Manage, StateAsync),
        new("GET", "/v2/catalog/availability", Scopes.Manage, AvailabilityAsync),
    ];

    private async Task PostAsync(ApiCall call)
    {
        var request = await call.ReadAsync(CatalogRecordsJson.Default.CatalogRequest).ConfigureAwait(false);
        var wanted = Judge(request);
        var isNew = false;
        var entry = store.Change(wanted.Id, known =>
        {
            isNew = known is not { Registered: true };
            if (known is { Registered: true } && known.Digest != wanted.Digest)
            {
                throw new ProblemException(new Problem(
                    ProblemCode.Conflict, $"model '{wanted.Id}' is registered with digest {known.Digest ?? "none"}, not {wanted.Digest ?? "none"}; delete it first, or use another id"));
            }

            return isNew ? wanted with { State = known?.State ?? ModelOffer.Active } : known;
        })!;
        if (request.Fetch)
        {
            StartFetch(entry);
        }

        await call.WriteAsync(isNew ? StatusCodes.Status201Created : StatusCodes.Status200OK, ViewOf(entry.Id)!, CatalogRecordsJson.Default.CatalogView).ConfigureAwait(false);
    }

    private Task ListAsync(ApiCall call)
    {
        var models = Ids().Select(id => ViewOf(id)!).ToImmutableArray();
        return call.WriteAsync(StatusCodes.Status200OK, new CatalogList(models, models.Length), CatalogRecordsJson.Default.CatalogList);
    }

    private Task GetAsync(ApiCall call) => call.WriteAsync(StatusCodes.Status200OK, Find(call["id"]), CatalogRecordsJson.Default.CatalogView);

    private Task DeleteAsync(ApiCall call)
    {
        var view = Find(call["id"]);
        if (!view.Nodes.IsEmpty)
        {
            var users = string.Join(", ", view.Nodes.Select(n => $"pool '{n.PoolId}' on '{n.NodeId}'").Distinct(StringComparer.Ordinal));
            throw new ProblemException(new Problem(ProblemCode.Conflict, $"model '{view.Id}' is in use by {users}; retire it with POST …/state, or take it from the pool first"));
        }

        store.Change(view.Id, static _ => null);
        return call.EmptyAsync(StatusCodes.Status204NoContent);
    }

    private Task VerifyAsync(ApiCall call)
    {
        var view = Find(call["id"]);
        // Also those whose pools do not list it: a fetched file lies there all the same. A node without one says so and is passed over.
        var parts = PartsOf(replicas.Current.Replicas.Select(r => r.Status.Id.NodeId));
        var operation = operations.Start("verify", "model:" + view.Id, "", (running, cancel) => CheckAsync(running, view, parts, cancel));
        return OperationRoutes.AnswerAsync(call, operation);
    }

    private async Task<OperationEnd> CheckAsync(Operation running, CatalogView view, ImmutableArray<(string NodeId, string PoolId)> parts, CancellationToken cancel)
    {
        var end = await new ModelWork(nodes).RunAsync(
            running, parts, pool => new PoolCommand.Verify { PoolId = pool, ModelId = view.Id, Sha256 = Hex(view.Digest) }, cancel).ConfigureAwait(false);
        var steps = running.Current.Status.Steps;
        return end.State == OperationState.Succeeded && steps.All(s => s.Phase == OperationStep.Absent)
            ? new OperationEnd(OperationState.Failed, $"no node has a file of model '{view.Id}', so there is nothing to check; fetch it first")
            : end;
    }

    private async Task StateAsync(ApiCall call)
    {
        var view = Find(call["id"]);
        var request = await call.ReadAsync(CatalogRecordsJson.Default.CatalogStateRequest).ConfigureAwait(false);
        var state = request.State switch
        {
            "Active" => ModelOffer.Active,
            "Retired" => ModelOffer.Retired,
            null => throw new ProblemException(Problem.Invalid("state", "'state' is missing: Active or Retired")),
            var other => throw new ProblemException(Problem.Invalid("state", $"'state' is '{Redaction.Plain(other)}', must be one of Active, Retired")),
        };
        if (request.DeadlineMs is < 0 or > LongestDeadlineMs)
        {
            throw new ProblemException(Problem.Invalid("deadline_ms", $"'deadline_ms' is {request.DeadlineMs}, must be an integer from 0 to {LongestDeadlineMs}"));
        }

        var deadline = request.DeadlineMs is { } ms ? TimeSpan.FromMilliseconds(ms) : drainDeadline;
        var operation = operations.Start("state", "model:" + view.Id, "", (running, cancel) => SetAsync(running, view.Id, state, deadline, cancel));
        await OperationRoutes.AnswerAsync(call, operation).ConfigureAwait(false);
    }

    // Nothing new is sent to a retired model from the first moment; what runs may finish until the deadline.
    private async Task<OperationEnd> SetAsync(Operation running, string id, ModelOffer state, TimeSpan deadline, CancellationToken cancel)
    {
        var created = time.GetUtcNow().ToUnixTimeMilliseconds();
        var busy = replicas.Current.Replicas.Where(r => r.Status.Models.Contains(id) && r.Serves(id) && r.Status.Url is not null).ToList();
        store.Change(id, known => (known ?? new CatalogEntry { Id = id, CreatedMs = created, Registered = false }) with { State = state });
        if (state == ModelOffer.Active)
        {
            return OperationEnd.Done;
        }

        using var limit = new CancellationTokenSource(deadline, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancel);
        foreach (var replica in busy)
        {
            var step = new OperationStep { Step = $"drain:{replica.Status.Id}", Kind = "drain", Group = $"{replica.Status.Id.NodeId}/{replica.Status.Id.PoolId}", Status = "running" };
            var before = running.Current.Status.Steps;
            running.Tell(s => s with { Steps = [.. before, step] });
            var quiet = await desk.QuietAsync(replica.Status.Id, replica.Status.Url!, id, both.Token).ConfigureAwait(false);
            if (!quiet)
            {
                desk.Cut(replica.Status.Id, replica.Status.Url!, id);
            }

            running.Tell(s => s with { Steps = [.. before, step with { Status = "completed", Human = quiet ? "its requests have ended" : "its requests were cut at the deadline" }] });
        }

        return OperationEnd.Done;
    }

    private Task AvailabilityAsync(ApiCall call)
    {
        var models = Ids().Select(id =>
        {
            var places = NodesOf(id);
            ImmutableArray<string> names = [.. places.Select(n => n.NodeId).Distinct(StringComparer.Ordinal)];
            return new ModelAvailability(id, names, names.Length, places.Sum(n => n.SlotsTotal));
        }).ToImmutableArray();
        return call.WriteAsync(
            StatusCodes.Status200OK,
            new CatalogAvailability(models, models.Length, models.Count(m => m.TotalNodes > 1), models.Count(m => m.TotalNodes == 1)),
            CatalogRecordsJson.Default.CatalogAvailability);
    }

    private void StartFetch(CatalogEntry entry)
    {
        var parts = PartsOf(replicas.Current.Replicas.Select(r => r.Status.Id.NodeId));
        var work = new ModelWork(nodes);
        operations.StartUnlessRunning("fetch", FetchOf(entry.Id), (running, cancel) => work.RunAsync(
            running, parts, pool => new PoolCommand.Fetch { PoolId = pool, ModelId = entry.Id, Source = entry.SourceUrl ?? entry.Id, Sha256 = Hex(entry.Digest) }, cancel));
    }

    private static string FetchOf(string id) => "fetch:" + id;

    // A node is asked through one of its pools; the work concerns the machine.
    private ImmutableArray<(string NodeId, string PoolId)> PartsOf(IEnumerable<string> nodeIds)
    {
        var wanted = nodeIds.ToHashSet(StringComparer.Ordinal);
        return
        [
            .. replicas.Current.Replicas.Where(r => wanted.Contains(r.Status.Id.NodeId) && !r.IsRemote).GroupBy(r => r.Status.Id.NodeId, StringComparer.Ordinal)
                .Select(g => (g.Key, g.First().Status.Id.PoolId)),
        ];
    }

    private IEnumerable<string> Ids() => store.Entries.Keys.Concat(replicas.Told.SelectMany(r => r.Models)).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal);

    private CatalogView Find(string id)
    {
        if (ViewOf(id) is { } view)
        {
            return view;
        }

        var near = Nearest.Of(id, Ids());
        throw new ProblemException(new Problem(ProblemCode.NotFound, $"there is no model '{Redaction.Plain(id)}' in the catalog{(near is null ? "" : $"; did you mean '{near}'?")}"));
    }

    private CatalogView? ViewOf(string id)
    {
        var entry = store.Entries.GetValueOrDefault(id);
        var places = NodesOf(id);
        if (entry is null && places.IsEmpty)
        {
            return null;
        }

        var replica = replicas.Current.Replicas.FirstOrDefault(r => r.Status.Model == id);
        return new CatalogView
        {
            Id = id,
            Digest = entry?.Digest,
            SourceUrl = entry?.SourceUrl,
            Tags = entry?.Tags ?? [],
            State = entry?.State ?? ModelOffer.Active,
            CreatedMs = entry?.CreatedMs,
            Registered = entry?.Registered ?? false,
            Description = replica?.Status.Description,
            Mock = replicas.Told.Any(r => r.Models.Contains(id) && r.Mock),
            Nodes = places,
            Fetch = operations.RunningOn(FetchOf(id))?.Current.Status,
        };
    }

    private ImmutableArray<CatalogNode> NodesOf(string id) =>
    [
        .. replicas.Told.Where(r => r.Models.Contains(id)).GroupBy(r => (r.Id.NodeId, r.Id.PoolId))
            .Select(g => new CatalogNode(g.Key.NodeId, g.Key.PoolId, g.Any(r => r.Model == id && r.State == ReplicaState.Ready), g.Sum(r => r.SlotsTotal))),
    ];

    private CatalogEntry Judge(CatalogRequest request)
    {
        var id = request.Id ?? throw new ProblemException(Problem.Invalid("id", "'id' is missing"));
        if (!TaskJudge.IsId(id))
        {
            throw new ProblemException(Problem.Invalid("id", $"'id' is '{Redaction.Plain(id)}', must be 1 to 128 letters, digits and . _ : -"));
        }

        if (request.Digest is { } digest && Hex(digest) is null)
        {
            throw new ProblemException(Problem.Invalid("digest", $"'digest' is '{Redaction.Plain(digest)}', must be sha256: and 64 hex digits in lower case"));
        }

        if (request.SourceUrl is { } source && !(Uri.TryCreate(source, UriKind.Absolute, out var url) && url.Scheme is "https" or "http" or "hf" or "file"))
        {
            throw new ProblemException(Problem.Invalid("source_url", $"'source_url' is '{Redaction.Plain(source)}', must be an address: https://…, hf:org/repo/file.gguf or file:…"));
        }

        if (request.Tags is { IsDefault: false } tags && (tags.Length > MostTags || tags.Any(t => t is not { Length: > 0 and <= 128 })))
        {
            throw new ProblemException(Problem.Invalid("tags", $"'tags' must be at most {MostTags} texts of 1 to 128 characters"));
        }

        return new CatalogEntry
        {
            Id = id,
            Digest = request.Digest,
            SourceUrl = request.SourceUrl,
            Tags = request.Tags is { IsDefault: false } given ? given : [],
            CreatedMs = time.GetUtcNow().ToUnixTimeMilliseconds(),
        };
    }

    private static string? Hex(string? digest) =>
        digest is { Length: 71 } && digest.StartsWith("sha256:", StringComparison.Ordinal) && digest.AsSpan(7).IndexOfAnyExcept("0123456789abcdef") < 0 ? digest[7..] : null;
}
