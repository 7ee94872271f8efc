namespace Loom.Wire;

/// <summary>Makes the pool records of a heartbeat out of what a node knows of its replicas.</summary>
public static class PoolBeats
{
    /// <summary>The record of a replica with all its slots free.</summary>
    public static PoolBeat Of(ReplicaStatus status) => Of(status, busy: 0);

    /// <summary>The record of a replica.</summary>
    /// <param name="status">What the node knows of it.</param>
    /// <param name="busy">Requests it is working on.</param>
    public static PoolBeat Of(ReplicaStatus status, int busy) => new()
    {
        PoolId = status.Id.PoolId,
        ReplicaId = status.Id.ReplicaName,
        Ready = status.State is ReplicaState.Ready or ReplicaState.Reloading && status.Url is not null,
        Draining = status.State == ReplicaState.Draining,
        SlotsFree = Math.Clamp(status.SlotsTotal - status.SlotsBusyElsewhere - busy, 0, status.SlotsTotal),
        SlotsTotal = status.SlotsTotal,
        VramFreeBytes = status.VramFreeBytes,
        Engine = status.EngineKind,
        EngineVersion = status.EngineVersion,
        Model = status.Model,
        ModelsAvailable = status.Models,
        LastError = status.LastError,
        Status = status,
    };
}
