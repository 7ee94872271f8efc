using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Core.Queues;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Api;

/// <summary>Liveness, readiness and the detailed view.</summary>
internal sealed class HealthRoutes(ReplicaTable replicas, AdmissionDesk desk)
{
    /// <summary>Set once the server stops admitting work.</summary>
    public bool Stopping { get; set; }

    public Task LiveAsync(HttpContext http) => JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, 0, static (json, _) =>
    {
        json.WriteStartObject();
        json.WriteString("status"u8, "ok"u8);
        json.WriteEndObject();
    });

    /// <summary>200 when a pool can take work, else 503 with the reasons, which name nobody because anyone may ask.</summary>
    public Task ReadyAsync(HttpContext http)
    {
        var reasons = Reasons(replicas.Current, Stopping);
        return JsonAnswer.WriteAsync(http, reasons.Count == 0 ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, reasons, static (json, reasons) =>
        {
            json.WriteStartObject();
            json.WriteString("status"u8, reasons.Count == 0 ? "ready"u8 : "not_ready"u8);
            json.WriteStartArray("reasons"u8);
            foreach (var reason in reasons)
            {
                json.WriteStringValue(reason);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    public Task DetailAsync(HttpContext http) => JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, this, static (json, self) =>
    {
        var snapshot = self.Current;
        var reasons = Reasons(snapshot, self.Stopping);
        var degraded = snapshot.Replicas.Where(r => !r.IsReady).ToList();
        json.WriteStartObject();
        json.WriteString("status"u8, reasons.Count > 0 ? "not_ready" : degraded.Count > 0 ? "degraded" : "ok");
        json.WriteBoolean("mock"u8, snapshot.Replicas.Any(r => r.Status.Mock));
        json.WriteStartObject("queue"u8);
        json.WriteNumber("interactive"u8, self.Waiting(QueueClass.Interactive));
        json.WriteNumber("batch"u8, self.Waiting(QueueClass.Batch));
        json.WriteEndObject();
        json.WriteStartArray("replicas"u8);
        foreach (var replica in snapshot.Replicas)
        {
            json.WriteStartObject();
            json.WriteString("node"u8, replica.Status.Id.NodeId);
            json.WriteString("pool"u8, replica.Status.Id.PoolId);
            json.WriteString("replica"u8, replica.Status.Id.ReplicaName);
            json.WriteString("state"u8, ModelRoutes.StateName(replica.Status.State));
            json.WriteString("model"u8, replica.Status.Model);
            json.WriteString("engine"u8, replica.Status.EngineKind);
            json.WriteNumber("slots_total"u8, replica.Status.SlotsTotal);
            json.WriteNumber("slots_busy"u8, replica.Load.Leases);
            json.WriteString("last_error"u8, replica.Status.LastError);
            json.WriteBoolean("mock"u8, replica.Status.Mock);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("degraded"u8);
        foreach (var replica in degraded)
        {
            json.WriteStringValue($"{replica.Status.Id} is {ModelRoutes.StateName(replica.Status.State)}{(replica.Status.LastError is { } e ? $": {e}" : "")}");
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    private ReplicaSnapshot Current => replicas.Current;

    private int Waiting(QueueClass queueClass) => desk.Waiting(queueClass);

    private static List<string> Reasons(ReplicaSnapshot snapshot, bool stopping)
    {
        if (stopping)
        {
            return ["the server is shutting down"];
        }

        if (snapshot.Replicas.IsEmpty)
        {
            return ["no pool is known yet"];
        }

        return snapshot.Replicas.Any(r => r.IsReady)
            ? []
            : [.. snapshot.Replicas.GroupBy(r => r.Status.State).Select(g => $"{g.Count()} of {snapshot.Replicas.Length} replicas {StateOf(g.Key)}")];
    }

    private static string StateOf(ReplicaState state) => state == ReplicaState.Ready ? "without an address" : ModelRoutes.StateName(state);
}
