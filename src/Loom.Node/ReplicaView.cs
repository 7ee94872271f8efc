using Loom.Node.Engines;
using Loom.Node.Plans;
using Loom.Node.Provisioning;
using Loom.Wire;

namespace Loom.Node;

/// <summary>What the rest of the world is told about a replica, worked out of its plan and its state. Pure.</summary>
public static class ReplicaView
{
    /// <summary>A replica with a process behind it.</summary>
    public static ReplicaStatus Of(ReplicaId id, PoolPlan pool, EngineState state)
    {
        var run = state.CurrentRun;
        var facts = (state as EngineState.Ready)?.Facts ?? (state as EngineState.Unready)?.Facts;
        var model = run?.Prepared.Model;
        return new ReplicaStatus
        {
            Id = id,
            State = StateOf(state),
            EngineKind = pool.Engine.Kind,
            EngineVersion = facts?.Version ?? run?.Prepared.Version,
            Model = model?.Id ?? pool.ModelIds[0],
            Models = pool.OfferedIds,
            Aliases = pool.Aliases,
            Swap = pool.Swap,
            MinResidencySecs = (int)pool.MinResidency.TotalSeconds,
            Url = run is { Port: > 0 } ? EngineEffects.Root(run) + "v1" : null,
            SlotsTotal = pool.EffectiveSlots,
            Ctx = facts?.Ctx ?? pool.Ctx,
            Created = facts?.Created ?? 0,
            Description = facts?.Description ?? model?.Description,
            Capabilities = facts?.Capabilities ?? [],
            StreamUsage = pool.Engine.StreamUsage,
            LoadPercent = state switch
            {
                EngineState.Provisioning p => p.Percent,
                EngineState.Starting s => s.Percent,
                _ => null,
            },
            LastError = state switch
            {
                EngineState.Unready u => u.Reason,
                EngineState.Failed f => f.Reason,
                EngineState.Stopped s => s.Reason,
                _ => null,
            },
            Fault = (state as EngineState.Failed)?.Exit switch
            {
                ProvisionExit.Checksum => ReplicaFault.Checksum,
                ProvisionExit.Download => ReplicaFault.Download,
                _ => null,
            },
            Mock = pool.Engine.Kind == EngineKinds.Mock || facts is { Mock: true },
            DeviceMask = pool.DeviceMask,
        };
    }

    /// <summary>A replica that is somebody else's API: ready from the start, its key is not part of what is told.</summary>
    public static ReplicaStatus Of(ReplicaId id, PoolPlan pool, ProviderPlan provider) => new()
    {
        Id = id,
        State = ReplicaState.Ready,
        EngineKind = pool.Engine.Kind,
        Model = pool.ModelIds[0],
        Models = pool.ModelIds,
        Aliases = pool.Aliases,
        // A pool of several models sends the one that was asked for.
        UpstreamModel = pool.Models.Length == 1 ? provider.Model : null,
        Url = provider.BaseUrl.ToString().TrimEnd('/'),
        SlotsTotal = pool.EffectiveSlots,
        Ctx = pool.Ctx,
        StreamUsage = pool.Engine.StreamUsage,
    };

    private static ReplicaState StateOf(EngineState state) => state switch
    {
        EngineState.Provisioning => ReplicaState.Provisioning,
        EngineState.Starting => ReplicaState.Starting,
        EngineState.Ready => ReplicaState.Ready,
        EngineState.Unready => ReplicaState.Unready,
        EngineState.Failed => ReplicaState.Failed,
        EngineState.Stopping => ReplicaState.Draining,
        _ => ReplicaState.Stopped,
    };
}
