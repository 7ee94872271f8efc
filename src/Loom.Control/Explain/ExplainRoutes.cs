using System.Text.Json;
using Loom.Control.Catalog;
using Loom.Control.Placement;
using Loom.Core.Queues;
using Loom.Core.Web;
using Loom.Wire;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Explain;

/// <summary><c>GET /v2/requests/{id}/explain</c>: why a request went where it did, and why not elsewhere.</summary>
internal sealed class ExplainRoutes(RequestLog log, string strategy)
{
    private const int Tries = 3;

    /// <summary>The routes.</summary>
    public IEnumerable<ApiRoute> Routes => [new("GET", "/v2/requests/{id}/explain", Scopes.Inference, ExplainAsync)];

    private Task ExplainAsync(ApiCall call)
    {
        var id = call["id"];
        for (var i = 0; i < Tries; i++)
        {
            if (log.Find(id, call.Caller.Sees) is not { } record)
            {
                break;
            }

            var use = record.Use;
            if (!IsAbout(record, id, call.Caller))
            {
                continue;
            }

            var view = new View(record, record.AttemptList, [.. record.Candidates]);
            var body = Written(view);
            if (record.Use == use && IsAbout(record, id, call.Caller))
            {
                call.Http.Response.ContentType = "application/json";
                call.Http.Response.ContentLength = body.Length;
                return HttpMethods.IsHead(call.Http.Request.Method) ? Task.CompletedTask : call.Http.Response.Body.WriteAsync(body, call.Gone).AsTask();
            }
        }

        throw new ProblemException(new Problem(
            ProblemCode.NotFound, $"request '{id}' is not among the last {RequestLog.Kept} requests, or is not yours"));
    }

    // A record may begin to stand for another request at any moment, another caller's too.
    private static bool IsAbout(RequestRecord record, string id, Caller caller) => record.Id == id && caller.Sees(record.Caller);

    private byte[] Written(View view)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            Write(json, view);
        }

        return buffer.ToArray();
    }

    private void Write(Utf8JsonWriter json, View view)
    {
        var record = view.Record;
        json.WriteStartObject();
        json.WriteString("request_id"u8, record.Id);
        json.WriteString("caller"u8, record.Caller);
        json.WriteString("route"u8, record.Path);
        json.WriteString("arrived"u8, record.Arrived);
        json.WriteString("state"u8, !record.HasEnded ? record.QueueMs is null ? "queued"u8 : "running"u8 : record.Problem is null ? "completed"u8 : "failed"u8);
        json.WriteString("name"u8, record.Name);
        json.WriteString("model"u8, record.Model);
        json.WriteString("class"u8, record.Class == QueueClass.Interactive ? "interactive"u8 : "batch"u8);
        json.WriteBoolean("stream"u8, record.Streamed);
        WriteWaits(json, record);
        WritePlacement(json, view);
        WriteAttempts(json, view.Attempts);
        WriteTimings(json, view);
        WriteUsage(json, record);
        json.WriteBoolean("mock"u8, view.Attempts.Count > 0 && view.Attempts[^1].Replica.Status.Mock);
        WriteNumber(json, "status"u8, record.HasEnded ? record.Status : null);
        json.WriteString("code"u8, record.Problem is { } code ? ProblemRow.Of(code).Name : null);
        json.WriteEndObject();
    }

    private static void WriteWaits(Utf8JsonWriter json, RequestRecord record)
    {
        json.WriteStartObject("waits"u8);
        WriteNumber(json, "queue_ms"u8, record.QueueMs);
        WriteNumber(json, "predicted_ms"u8, record.Predicted?.Milliseconds);
        json.WriteString("estimate"u8, record.Predicted is { } predicted ? predicted.Measured ? "measured" : "default" : null);
        json.WriteEndObject();
    }

    private void WritePlacement(Utf8JsonWriter json, View view)
    {
        var chosen = view.Attempts.Count > 0 ? view.Attempts[^1].Replica : null;
        json.WriteStartObject("placement"u8);
        json.WriteString("strategy"u8, strategy);
        json.WriteNumber("decisions"u8, view.Record.Placements);
        json.WriteStartArray("candidates"u8);
        foreach (var (replica, verdict, free) in view.Candidates.Where(c => c.Replica is not null))
        {
            json.WriteStartObject();
            WriteReplica(json, replica);
            json.WriteBoolean("chosen"u8, ReferenceEquals(replica, chosen));
            if (verdict == Verdict.Candidate)
            {
                // What least-loaded compares; the other strategies take any candidate.
                json.WriteNumber("score"u8, Math.Round((double)free / replica.Status.SlotsTotal, 4));
                json.WriteNumber("slots_free"u8, free);
                json.WriteNull("rejected"u8);
            }
            else
            {
                json.WriteNull("score"u8);
                json.WriteNumber("slots_free"u8, Math.Max(0, free));
                json.WriteString("rejected"u8, verdict.Words());
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("not_listed"u8, view.Record.Unlisted);
        json.WriteEndObject();
    }

    private static void WriteAttempts(Utf8JsonWriter json, IReadOnlyList<AttemptRecord> attempts)
    {
        json.WriteStartArray("attempts"u8);
        foreach (var attempt in attempts)
        {
            json.WriteStartObject();
            WriteReplica(json, attempt.Replica);
            json.WriteString("engine"u8, attempt.Replica.Status.EngineKind);
            WriteNumber(json, "first_byte_ms"u8, attempt.FirstByteMs > 0 ? attempt.FirstByteMs : null);
            json.WriteString("code"u8, attempt.Problem is { } code ? ProblemRow.Of(code).Name : null);
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteTimings(Utf8JsonWriter json, View view)
    {
        json.WriteStartObject("timings"u8);
        WriteNumber(json, "queue_ms"u8, view.Record.QueueMs);
        WriteNumber(json, "first_byte_ms"u8, view.Attempts.Count > 0 && view.Attempts[^1].FirstByteMs > 0 ? view.Attempts[^1].FirstByteMs : null);
        WriteNumber(json, "total_ms"u8, view.Record.HasEnded ? view.Record.TotalMs : null);
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, RequestRecord record)
    {
        json.WriteStartObject("tokens"u8);
        WriteNumber(json, "prompt"u8, record.Usage?.Prompt);
        WriteNumber(json, "cached"u8, record.Usage?.Cached);
        WriteNumber(json, "completion"u8, record.Usage?.Completion);
        json.WriteEndObject();
        if (record.Usage is { } usage)
        {
            json.WriteBoolean("cache_hit"u8, usage.Cached > 0);
        }
        else
        {
            json.WriteNull("cache_hit"u8);
        }
    }

    private static void WriteReplica(Utf8JsonWriter json, Replica replica)
    {
        json.WriteString("node"u8, replica.Status.Id.NodeId);
        json.WriteString("pool"u8, replica.Status.Id.PoolId);
        json.WriteString("replica"u8, replica.Status.Id.ReplicaName);
    }

    private static void WriteNumber(Utf8JsonWriter json, ReadOnlySpan<byte> name, double? value)
    {
        if (value is { } number)
        {
            json.WriteNumber(name, Math.Round(number, 3));
        }
        else
        {
            json.WriteNull(name);
        }
    }

    private sealed record View(RequestRecord Record, IReadOnlyList<AttemptRecord> Attempts, IReadOnlyList<(Replica Replica, Verdict Verdict, int Free)> Candidates);
}
