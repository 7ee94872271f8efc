using Loom.Wire;

namespace Loom.Control.Nodes;

/// <summary>Nodes as clients see them.</summary>
internal static class NodeViews
{
    public static NodeView Of(Node node, TimeSpan now) => new()
    {
        NodeId = node.Registration.NodeId,
        State = Name(node.Life.State),
        Draining = node.Drained || node.Leaving,
        Address = node.Registration.Address,
        MachineId = node.Registration.MachineId,
        InstanceId = node.Registration.InstanceId,
        Version = node.Registration.Version,
        Mock = node.Registration.Mock,
        LastHeartbeatMsAgo = node.IsLocal ? 0 : (long)(now - node.Life.HeardAt).TotalMilliseconds,
        ClockSkewMs = node.IsLocal ? 0 : (long?)node.ClockSkew?.TotalMilliseconds,
        PoolIds = node.Registration.Pools,
        Pools = node.Pools,
        Gpus = node.Gpus,
        Capabilities = node.Registration.Capabilities,
        RecentErrors = node.Errors.All,
    };

    public static string Name(NodeState state) => state switch
    {
        NodeState.Registering => "registering",
        NodeState.Online => "online",
        _ => "offline",
    };
}
