using Loom.Control.Admission;
using Loom.Control.Api;
using Loom.Control.Catalog;
using Loom.Control.Explain;
using Loom.Control.Nodes;
using Loom.Control.Sessions;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Gateway;

/// <summary>What every inference call needs; made once.</summary>
internal sealed record GatewayServices(
    GatewayOptions Options,
    AdmissionOptions Admission,
    ReplicaTable Replicas,
    AdmissionDesk Desk,
    UpstreamClient Upstream,
    IUpstreamCredentials Credentials,
    INodeLink Nodes,
    SessionTable Sessions,
    RequestLog Requests,
    SlotSettler Settler,
    ControlMetrics Metrics,
    TimeProvider Time,
    ILogger Log);
