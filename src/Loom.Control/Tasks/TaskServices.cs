using Loom.Control.Gateway;
using Loom.Control.Sessions;

namespace Loom.Control.Tasks;

/// <summary>What every task needs; made once.</summary>
/// <param name="Gateway">The request path it shares with <c>/v1</c>.</param>
/// <param name="Sessions">Sessions and budgets.</param>
/// <param name="Journal">The record on disk.</param>
/// <param name="Times">Service times of the pools.</param>
internal sealed record TaskServices(GatewayServices Gateway, SessionTable Sessions, TaskJournal Journal, ServiceTimes Times);
