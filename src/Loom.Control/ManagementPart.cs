using Loom.Control.Artifacts;
using Loom.Control.Catalog;
using Loom.Control.Gateway;
using Loom.Control.Operations;
using Loom.Control.Sessions;
using Loom.Control.Tasks;
using Loom.Core.Web;
using Microsoft.Extensions.Logging;

namespace Loom.Control;

/// <summary>What stands behind <c>/v2</c>, nodes apart: tasks, sessions, operations on pools, catalog and artifacts. Started once, closed once.</summary>
internal sealed class ManagementPart : IAsyncDisposable
{
    private readonly TaskDesk _tasks;
    private readonly OperationTable _operations;
    private readonly CatalogStore _catalog;

    public ManagementPart(TaskOptions options, TimeSpan drainDeadline, GatewayServices gateway, ILogger log)
    {
        _tasks = new TaskDesk(gateway, gateway.Sessions, options, log);
        _operations = new OperationTable(gateway.Time, log);
        string? Below(string name) => options.StateFolder is { } folder ? Path.Combine(folder, name) : null;
        _catalog = new CatalogStore(Below("catalog.json"), gateway.Replicas, log);
        var artifacts = new ArtifactStore(Below("artifacts"), gateway.Time, log);
        var rates = new TokenRates(gateway.Time);
        gateway.Metrics.Generated = rates.Add;
        Routes =
        [
            .. new PoolRoutes(gateway.Replicas, _operations, gateway.Nodes, rates).Routes,
            .. new CatalogRoutes(_catalog, gateway.Replicas, _operations, gateway.Nodes, gateway.Desk, drainDeadline, gateway.Time).Routes,
            .. new ArtifactRoutes(artifacts).Routes,
            .. new OperationRoutes(_operations, gateway.Options, gateway.Time).Routes,
            .. new TaskRoutes(_tasks, gateway.Options, gateway.Time).Routes,
            .. new SessionRoutes(gateway.Sessions).Routes,
        ];
    }

    /// <summary>The routes of this part.</summary>
    public IReadOnlyList<ApiRoute> Routes { get; }

    /// <summary>Tasks that wait or run.</summary>
    public int Running => _tasks.Running;

    /// <summary>What does not work, one sentence each.</summary>
    public IEnumerable<string> Faults => new[] { _tasks.Fault }.OfType<string>();

    /// <summary>Reads what is on disk, before the first request.</summary>
    public void Start()
    {
        _catalog.Start();
        _tasks.Start();
    }

    /// <summary>Takes no work any more; what runs goes on.</summary>
    public void Close() => _tasks.Close();

    /// <summary>Ends what still runs.</summary>
    public void Shutdown() => _tasks.Shutdown();

    public async ValueTask DisposeAsync()
    {
        await _tasks.DisposeAsync().ConfigureAwait(false);
        await _operations.DisposeAsync().ConfigureAwait(false);
    }
}
