using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Loom.Control.Catalog;
using Loom.Wire;

namespace Loom.Control.Operations;

/// <summary>One pool over all its nodes, as <c>GET /v2/pools/{id}</c> shows it.</summary>
internal sealed record PoolView
{
    public required string PoolId { get; init; }

    /// <summary>State of its best replica.</summary>
    public required string State { get; init; }

    public required bool Ready { get; init; }

    public required bool Draining { get; init; }

    public required string Model { get; init; }

    public required ImmutableArray<string> Models { get; init; }

    public required ImmutableArray<string> Aliases { get; init; }

    public required string Engine { get; init; }

    public required int SlotsTotal { get; init; }

    public required int SlotsFree { get; init; }

    public string? LastError { get; init; }

    /// <summary>The operation that runs on it; null = none.</summary>
    public string? OperationId { get; init; }

    public required bool Mock { get; init; }

    public required ImmutableArray<ReplicaView> Replicas { get; init; }

    /// <summary>The pools of a snapshot, by id.</summary>
    public static IEnumerable<PoolView> Of(ReplicaSnapshot snapshot, Func<string, string?> operationOf) =>
        snapshot.Replicas.GroupBy(r => r.Status.Id.PoolId, StringComparer.Ordinal).OrderBy(g => g.Key, StringComparer.Ordinal).Select(g => Of(g.Key, [.. g], operationOf(g.Key)));

    private static PoolView Of(string id, ImmutableArray<Replica> replicas, string? operation)
    {
        var views = replicas.Select(ReplicaView.Of).ToImmutableArray();
        var best = replicas.MinBy(r => Rank(r.Status.State))!;
        return new PoolView
        {
            PoolId = id,
            State = ReplicaView.NameOf(best.Status.State),
            Ready = replicas.Any(r => r.IsReady),
            Draining = replicas.All(r => r.Status.State == ReplicaState.Draining),
            Model = best.Status.Model,
            Models = [.. replicas.SelectMany(r => r.Status.Models).Distinct(StringComparer.Ordinal)],
            Aliases = [.. replicas.SelectMany(r => r.Status.Aliases).Distinct(StringComparer.Ordinal)],
            Engine = best.Status.EngineKind,
            SlotsTotal = views.Sum(v => v.SlotsTotal),
            SlotsFree = views.Sum(v => v.SlotsFree),
            LastError = replicas.Select(r => r.Status.LastError).FirstOrDefault(e => e is not null),
            OperationId = operation,
            Mock = replicas.Any(r => r.Status.Mock),
            Replicas = views,
        };
    }

    private static int Rank(ReplicaState state) => state switch
    {
        ReplicaState.Ready => 0,
        ReplicaState.Reloading => 1,
        ReplicaState.Starting => 2,
        ReplicaState.Provisioning => 3,
        ReplicaState.Draining => 4,
        ReplicaState.Unready => 5,
        ReplicaState.Stopped => 6,
        _ => 7,
    };
}

/// <summary>One replica of a pool.</summary>
internal sealed record ReplicaView
{
    public required string NodeId { get; init; }

    public required string ReplicaId { get; init; }

    public required string State { get; init; }

    public required string Model { get; init; }

    public required string Engine { get; init; }

    public string? EngineVersion { get; init; }

    public required int SlotsTotal { get; init; }

    public required int SlotsFree { get; init; }

    /// <summary>When it entered its state, Unix milliseconds.</summary>
    public required long SinceMs { get; init; }

    public int? LoadPercent { get; init; }

    public string? LastError { get; init; }

    public required ImmutableArray<string> DeviceMask { get; init; }

    public required string Source { get; init; }

    public required bool Mock { get; init; }

    public static ReplicaView Of(Replica replica)
    {
        var status = replica.Status;
        return new ReplicaView
        {
            NodeId = status.Id.NodeId,
            ReplicaId = status.Id.ReplicaName,
            State = NameOf(status.State),
            Model = status.Model,
            Engine = status.EngineKind,
            EngineVersion = status.EngineVersion,
            SlotsTotal = status.SlotsTotal,
            SlotsFree = replica.IsReady ? Math.Max(0, status.SlotsTotal - status.SlotsBusyElsewhere - replica.Load.Leases) : 0,
            SinceMs = status.SinceMs,
            LoadPercent = status.LoadPercent,
            LastError = status.LastError,
            DeviceMask = status.DeviceMask,
            Source = status.Source,
            Mock = status.Mock,
        };
    }

    public static string NameOf(ReplicaState state) => state.ToString().ToLowerInvariant();
}

/// <summary>Answer to <c>GET /v2/pools</c>.</summary>
internal sealed record PoolList(ImmutableArray<PoolView> Pools, int Count);

/// <summary>Answer to <c>GET /v2/pools/{id}/health</c>.</summary>
internal sealed record PoolHealth(bool Live, bool Ready, bool Draining, PoolHealthMetrics Metrics, string? LastError);

/// <summary>Numbers of a pool.</summary>
internal sealed record PoolHealthMetrics(int SlotsFree, int SlotsTotal, int QueueDepth, double TokensPerS);

/// <summary>Body of <c>POST …/preload</c>.</summary>
internal sealed record PreloadRequest
{
    public string? ModelRef { get; init; }

    public HandoffDocument? Prepared { get; init; }
}

/// <summary>Body of <c>POST …/drain</c>.</summary>
internal sealed record DrainRequest
{
    public int? DeadlineMs { get; init; }
}

/// <summary>Body of <c>POST …/reload</c>.</summary>
internal sealed record ReloadRequest
{
    public string? NewModelRef { get; init; }

    public int? DeadlineMs { get; init; }
}

/// <summary>Body of <c>POST …/purge</c>.</summary>
internal sealed record PurgeRequest
{
    public bool PurgeEngine { get; init; }

    public ImmutableArray<string> PurgeModels { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Null = true. A default of the property would be lost: to the serializer a field that is not there is false.</summary>
    public bool? DrainFirst { get; init; }

    public bool DeleteCacheDirs { get; init; }

    public bool Force { get; init; }
}

/// <summary>A body without fields.</summary>
internal sealed record EmptyRequest;

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(PoolList))]
[JsonSerializable(typeof(PoolHealth))]
[JsonSerializable(typeof(PreloadRequest))]
[JsonSerializable(typeof(DrainRequest))]
[JsonSerializable(typeof(ReloadRequest))]
[JsonSerializable(typeof(PurgeRequest))]
[JsonSerializable(typeof(EmptyRequest))]
internal sealed partial class PoolJson : JsonSerializerContext;
