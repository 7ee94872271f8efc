using System.Text.Json;
using Loom.Control.Admission;
using Loom.Control.Catalog;
using Loom.Control.Nodes;
using Loom.Core.Queues;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Api;

/// <summary>Liveness, readiness and the detailed view.</summary>
/// <param name="replicas">What the nodes say.</param>
/// <param name="nodes">Where they run.</param>
/// <param name="desk">Who waits.</param>
/// <param name="stateFolder">What is kept on disk; null = nothing.</param>
/// <param name="faults">What has failed for good in the process, one sentence each.</param>
internal sealed class HealthRoutes(ReplicaTable replicas, NodeDirectory nodes, AdmissionDesk desk, string? stateFolder, Func<IReadOnlyList<string>> faults)
{
    /// <summary>Set once the server stops admitting work.</summary>
    public bool Stopping { get; set; }

    /// <summary>The routes.</summary>
    public IEnumerable<ApiRoute> Routes =>
    [
        new("GET", "/health", Scopes.None, call => LiveAsync(call.Http)),
        new("GET", "/health/live", Scopes.None, call => LiveAsync(call.Http)),
        new("GET", "/health/ready", Scopes.None, call => ReadyAsync(call.Http)),
        new("GET", "/health/detail", Scopes.Manage, call => DetailAsync(call.Http)),
    ];

    private static Task LiveAsync(HttpContext http) => JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, 0, static (json, _) =>
    {
        json.WriteStartObject();
        json.WriteString("status"u8, "ok"u8);
        json.WriteEndObject();
    });

    /// <summary>200 when a pool can take work, else 503. The reasons, and what is wrong beside, name nobody because anyone may ask.</summary>
    private Task ReadyAsync(HttpContext http)
    {
        var reasons = Reasons(replicas.Current, Stopping);
        var ready = reasons.Count == 0;
        if (faults() is { Count: > 0 } failed)
        {
            reasons.Add($"{failed.Count} {(failed.Count == 1 ? "part" : "parts")} of the server failed; /health/detail names them");
        }

        return JsonAnswer.WriteAsync(http, ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, (ready, reasons), static (json, state) =>
        {
            json.WriteStartObject();
            json.WriteString("status"u8, state.ready ? "ready"u8 : "not_ready"u8);
            json.WriteStartArray("reasons"u8);
            foreach (var reason in state.reasons)
            {
                json.WriteStringValue(reason);
            }

            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private Task DetailAsync(HttpContext http) => JsonAnswer.WriteAsync(http, StatusCodes.Status200OK, this, static (json, self) =>
    {
        var snapshot = self.Current;
        var reasons = Reasons(snapshot, self.Stopping);
        var failed = self.Faults;
        var degraded = snapshot.Replicas.Where(r => !r.IsReady).ToList();
        json.WriteStartObject();
        json.WriteString("status"u8, reasons.Count > 0 ? "not_ready" : degraded.Count + failed.Count > 0 ? "degraded" : "ok");
        json.WriteBoolean("mock"u8, snapshot.Replicas.Any(r => r.Status.Mock));
        json.WriteStartObject("queue"u8);
        json.WriteNumber("interactive"u8, self.Waiting(QueueClass.Interactive));
        json.WriteNumber("batch"u8, self.Waiting(QueueClass.Batch));
        json.WriteEndObject();
        self.WriteNodes(json);
        self.WriteDisk(json);
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
        json.WriteStartArray("faults"u8);
        foreach (var fault in failed)
        {
            json.WriteStringValue(fault);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    });

    private void WriteNodes(Utf8JsonWriter json)
    {
        json.WriteStartArray("nodes"u8);
        foreach (var node in nodes.Views(null))
        {
            json.WriteStartObject();
            json.WriteString("node"u8, node.NodeId);
            json.WriteString("state"u8, node.State);
            json.WriteBoolean("draining"u8, node.Draining);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private void WriteDisk(Utf8JsonWriter json)
    {
        json.WriteStartObject("disk"u8);
        json.WriteString("state_folder"u8, stateFolder);
        json.WritePropertyName("free_bytes"u8);
        if (FreeBytes() is { } free)
        {
            json.WriteNumberValue(free);
        }
        else
        {
            json.WriteNullValue();
        }

        json.WriteEndObject();
    }

    // Null when nobody can tell.
    private long? FreeBytes()
    {
        try
        {
            var folder = stateFolder;
            while (folder is not null && !Directory.Exists(folder))
            {
                folder = Path.GetDirectoryName(folder);
            }

            return folder is null ? null : new DriveInfo(folder).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return null;
        }
    }

    private IReadOnlyList<string> Faults => faults();

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

        // A pool that rests, and says why, is loaded by its first request; one that says nothing has not begun to start.
        return snapshot.Replicas.Any(r => r.IsReady || (r.Status is { State: ReplicaState.Stopped, LastError: not null } && r.Status.Models.Any(r.CanLoad)))
            ? []
            : [.. snapshot.Replicas.GroupBy(r => r.Status.State).Select(g => $"{g.Count()} of {snapshot.Replicas.Length} replicas {StateOf(g.Key)}")];
    }

    private static string StateOf(ReplicaState state) => state == ReplicaState.Ready ? "without an address" : ModelRoutes.StateName(state);
}
