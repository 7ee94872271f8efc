using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Loom.Core.Settings;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Node.Link;

/// <summary>What the agent answers on its port: its health, the state of its pools, operations on them, and the way to their engines.</summary>
internal sealed class AgentRoutes(IServedNode node, ProxiedRuns runs, ReplicaProxy proxy, AgentOperations operations, Func<int> faults, TimeProvider time)
{
    private static readonly TimeSpan s_keepAlive = TimeSpan.FromSeconds(15);
    private static readonly string[] s_words = ["preload", "drain", "undrain", "reload", "purge", "swap", "fetch", "verify"];

    public IEnumerable<ApiRoute> Routes =>
    [
        new(HttpMethods.Get, "/health", Scopes.None, call => call.WriteAsync(StatusCodes.Status200OK, faults(), static (json, failed) =>
        {
            // Anyone may ask: how many parts have failed, and not which; the log of the node names them.
            json.WriteStartObject();
            json.WriteString("status"u8, failed == 0 ? "ok"u8 : "degraded"u8);
            if (failed > 0)
            {
                json.WriteNumber("failed_parts"u8, failed);
            }

            json.WriteEndObject();
        })),
        new(HttpMethods.Get, "/v2/pools/{id}/status", Scopes.Node, StatusAsync),
        new(HttpMethods.Get, "/pools/{id}/status", Scopes.Node, StatusAsync),
        .. s_words.Select(word => new ApiRoute(HttpMethods.Post, $"/v2/pools/{{id}}/{word}", Scopes.Node, call => BeginAsync(call, word))),
        new(HttpMethods.Post, "/pools/{id}/preload", Scopes.Node, call => BeginAsync(call, "preload")),
        new(HttpMethods.Get, "/v2/operations/{id}", Scopes.Node, OperationAsync),
        new(HttpMethods.Get, "/v2/operations/{id}/events", Scopes.Node, EventsAsync),
        .. new[] { HttpMethods.Get, HttpMethods.Post, HttpMethods.Delete }.Select(
            method => new ApiRoute(method, "/v2/pools/{pool}/replicas/{replica}/{*rest}", Scopes.Node, proxy.ForwardAsync)),
    ];

    private Task StatusAsync(ApiCall call)
    {
        var id = call["id"];
        ImmutableArray<PoolBeat> replicas = [.. node.Snapshot.Where(r => r.Id.PoolId == id).Select(r => PoolBeats.Of(r, runs.Busy(r.Id)) with { Status = null })];
        return replicas.IsEmpty
            ? throw NoPool(id)
            : call.WriteAsync(
                StatusCodes.Status200OK,
                new PoolView(
                    id, replicas.Any(r => r.Ready), replicas.All(r => r.Draining), replicas.Sum(r => r.SlotsFree), replicas.Sum(r => r.SlotsTotal), replicas[0].Engine,
                    replicas[0].EngineVersion, replicas[0].Model, replicas.FirstOrDefault(r => r.LastError is not null)?.LastError, replicas),
                AgentJson.Default.PoolView);
    }

    private async Task BeginAsync(ApiCall call, string word)
    {
        var id = call["id"];
        var body = await call.ReadBytesAsync(1024 * 1024, typed: false).ConfigureAwait(false);
        var command = PoolCommandBody.Read(word, id, body);
        if (command is not PoolCommand.Preload { Prepared: not null } && !node.Snapshot.Any(r => r.Id.PoolId == id))
        {
            throw NoPool(id);
        }

        var begun = await operations.BeginAsync(command, time).ConfigureAwait(false);
        if (!call.QueryFlag("wait"))
        {
            await call.WriteAsync(StatusCodes.Status202Accepted, new OperationBegun(begun.Id, "running"), AgentJson.Default.OperationBegun).ConfigureAwait(false);
            return;
        }

        var ended = begun;
        await foreach (var status in operations.Watch(begun.Id)!.ReadAllAsync(call.Gone).ConfigureAwait(false))
        {
            ended = status;
        }

        await call.WriteAsync(OperationAnswers.StatusOf(ended.Status), ended, NodeJson.Default.OperationStatus).ConfigureAwait(false);
    }

    private Task OperationAsync(ApiCall call)
    {
        var id = call["id"];
        return operations.Find(id) is { } status ? call.WriteAsync(StatusCodes.Status200OK, status, NodeJson.Default.OperationStatus) : throw NoOperation(id);
    }

    private async Task EventsAsync(ApiCall call)
    {
        var id = call["id"];
        var reader = operations.Watch(id) ?? throw NoOperation(id);
        var response = call.Http.Response;
        response.ContentType = "text/event-stream";
        response.Headers.CacheControl = "no-cache";
        response.Headers["X-Accel-Buffering"] = "no";
        while (true)
        {
            var more = reader.WaitToReadAsync(call.Gone).AsTask();
            while (await Task.WhenAny(more, Task.Delay(s_keepAlive, time, call.Gone)).ConfigureAwait(false) != more)
            {
                // Who listens must be able to tell silence from a dead agent.
                call.Gone.ThrowIfCancellationRequested();
                response.BodyWriter.Append(": still at it\n\n"u8);
                await response.BodyWriter.FlushAsync(call.Gone).ConfigureAwait(false);
            }

            if (!await more.ConfigureAwait(false))
            {
                return;
            }

            while (reader.TryRead(out var status))
            {
                var text = $"event: operation\ndata: {JsonSerializer.Serialize(status, NodeJson.Default.OperationStatus)}\n\n";
                response.BodyWriter.Append(Encoding.UTF8.GetBytes(text));
            }

            await response.BodyWriter.FlushAsync(call.Gone).ConfigureAwait(false);
        }
    }

    private static ProblemException NoPool(string id) => new(new Problem(ProblemCode.NotFound, $"this node has no pool '{Redaction.Plain(id)}'"));

    private static ProblemException NoOperation(string id) => new(new Problem(ProblemCode.NotFound, $"this node knows no operation '{Redaction.Plain(id)}'"));
}

/// <summary>Answer to <c>GET /v2/pools/{id}/status</c> of an agent.</summary>
internal sealed record PoolView(
    string PoolId, bool Ready, bool Draining, int SlotsFree, int SlotsTotal, string? Engine, string? EngineVersion, string? Model, string? LastError,
    ImmutableArray<PoolBeat> Replicas);

/// <summary>Answer to an operation that has begun.</summary>
internal sealed record OperationBegun(string OperationId, string Status);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PoolView))]
[JsonSerializable(typeof(OperationBegun))]
internal sealed partial class AgentJson : JsonSerializerContext;
