using System.Text.Json;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Api;

/// <summary><c>GET /v1/models</c> and <c>/v1/models/{id}</c>.</summary>
internal sealed class ModelRoutes(ReplicaTable replicas)
{
    /// <summary>The routes.</summary>
    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", "/v1/models", Scopes.Inference, call => ListAsync(call.Http)),
        new("GET", "/v1/models/{*id}", Scopes.Inference, call => OneAsync(call.Http, call["id"], call.RequestId)),
    ];

    private Task ListAsync(HttpContext http) => JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, replicas.Current, static (json, snapshot) =>
    {
        json.WriteStartObject();
        json.WriteString("object"u8, "list"u8);
        json.WriteStartArray("data"u8);
        foreach (var id in snapshot.ModelIds)
        {
            // What can neither answer nor be waited for is told by /v2/pools and the health.
            if (snapshot.TryResolve(id, out var route) && route.CanWait)
            {
                WriteModel(json, id, route);
            }
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    /// <summary>One model by its id or by any other name of it; the id may contain slashes.</summary>
    private Task OneAsync(HttpContext http, string id, string requestId)
    {
        var snapshot = replicas.Current;
        return snapshot.TryResolve(id, out var route)
            ? JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, (id, route), static (json, state) => WriteModel(json, state.id, state.route))
            : ErrorWriter.WriteAsync(http, CallChecks.UnknownModel(snapshot, id), requestId);
    }

    private static void WriteModel(Utf8JsonWriter json, string id, ModelRoute route)
    {
        // The replica that stands for the model: a loaded one if there is one.
        var shown = route.Replicas.FirstOrDefault(r => r.IsReady) ?? route.Replicas.FirstOrDefault() ?? route.Offering[0];
        var status = shown.Status;
        json.WriteStartObject();
        json.WriteString("id"u8, id);
        json.WriteString("object"u8, "model"u8);
        json.WriteNumber("created"u8, status.Created);
        json.WriteString("owned_by"u8, "loom"u8);
        if (status.Description is { } description)
        {
            json.WriteString("description"u8, description);
        }

        json.WriteStartObject("loom"u8);
        WriteList(json, "pools"u8, route.Offering.Select(r => r.Status.Id.PoolId).Distinct(StringComparer.Ordinal));
        json.WriteString("state"u8, route.Replicas.Length == 0 ? "stopped" : StateName(status.State));
        json.WriteString("kind"u8, status.EngineKind);
        if (status.Ctx is { } ctx)
        {
            json.WriteNumber("ctx"u8, ctx);
        }
        else
        {
            json.WriteNull("ctx"u8);
        }

        WriteList(json, "capabilities"u8, status.Capabilities);
        WriteList(json, "aliases"u8, status.Aliases);
        json.WriteBoolean("mock"u8, status.Mock);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    internal static string StateName(ReplicaState state) => state.ToString().ToLowerInvariant();

    private static void WriteList(Utf8JsonWriter json, ReadOnlySpan<byte> name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
        {
            json.WriteStringValue(value);
        }

        json.WriteEndArray();
    }
}
