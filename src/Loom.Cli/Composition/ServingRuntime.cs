using System.Collections.Immutable;
using Loom.Agents.Project;
using Loom.Cli.Verbs;
using Loom.Control;
using Loom.Control.Gateway;
using Loom.Control.Nodes;
using Loom.Core.Loops;
using Loom.Core.Web;
using Loom.Node;
using Loom.Node.Inventory;
using Loom.Node.Link;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>
/// The serving part of one machine: control plane and node agent in one process, joined in memory. Started once; they stop in the reverse order of their
/// start, whatever fails.
/// </summary>
internal sealed class ServingRuntime : IAsyncDisposable
{
    private readonly TimeSpan _drain;
    private readonly NodePart _node;
    private readonly ControlPlane _control;
    private readonly BackgroundLoop _publishing;
    private bool _stopped;

    private ServingRuntime(TimeSpan drain, NodePart node, ControlPlane control, BackgroundLoop publishing)
    {
        _drain = drain;
        _node = node;
        _control = control;
        _publishing = publishing;
    }

    /// <summary>Address of the API without path.</summary>
    public Uri Api => _control.ApiAddress;

    /// <summary>Address of the metrics listener; null when it is off.</summary>
    public Uri? Metrics => _control.MetricsAddress;

    /// <summary>How all replicas are now.</summary>
    public ImmutableArray<ReplicaStatus> Replicas => _node.Agent.Snapshot;

    /// <summary>Opens the listeners, then begins to start the pools; returns while those still load.</summary>
    /// <exception cref="PortTakenException">A port is in use; nothing was started.</exception>
    /// <exception cref="GpuMaskException">A GPU that was asked for is not there; nothing was started.</exception>
    public static async Task<ServingRuntime> StartAsync(
        ServingPlan plan,
        ProjectRun run,
        IProgress<ProvisionProgress> progress,
        Func<IEnumerable<Exception>> otherFaults,
        ApiGuests? guests,
        TimeProvider time,
        ILoggerFactory loggers,
        CancellationToken cancellationToken)
    {
        var part = await NodePart.CreateAsync(plan.Node, plan.Link, run, progress, time, loggers, cancellationToken).ConfigureAwait(false);
        var node = part.Agent;
        ControlPlane? control = null;
        ControlTraffic? traffic = null;
        BackgroundLoop? publishing = null;
        try
        {
            var api = plan.Control.Api with { RunToken = run.Token };
            control = new ControlPlane(
                plan.Control with { Api = api }, new MemoryLink(node), time, new Random(), loggers, new ProviderCredentials(node),
                () => Faults(part, [publishing?.Fault, .. control?.Nodes.Faults ?? []], otherFaults), part.Metrics, guests);
            // Before the port opens: a client that is quick must not be told that a pool does not exist.
            traffic = new ControlTraffic(control, part);
            traffic.Publish();
            publishing = BackgroundLoop.Start("publish replicas", cancel => PublishAsync(run, node, traffic, cancel), loggers.CreateLogger("loom"));
            run.ShowPools(() => node.Snapshot);
            await control.StartAsync(cancellationToken).ConfigureAwait(false);
            await part.OpenAsync(run, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            if (publishing is not null)
            {
                await publishing.DisposeAsync().ConfigureAwait(false);
            }

            if (control is not null)
            {
                await control.DisposeAsync().ConfigureAwait(false);
            }

            await part.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        run.SetAddress("api", control.ApiAddress.GetLeftPart(UriPartial.Authority));
        if (control.MetricsAddress is { } metrics)
        {
            run.SetAddress("metrics", metrics.GetLeftPart(UriPartial.Authority) + "/metrics");
        }

        var runtime = new ServingRuntime(plan.Control.DrainDeadline, part, control, publishing);
        part.Start(traffic);
        return runtime;
    }

    /// <summary>Each snapshot of the replicas from now on, the present one first.</summary>
    public IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync(CancellationToken cancellationToken) => _node.Agent.WatchAsync(cancellationToken);

    /// <summary>Waits until every pool is ready, rests until somebody asks for it, or has failed for good.</summary>
    /// <param name="onChange">Called with each snapshot on the way.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<ImmutableArray<ReplicaStatus>> SettledAsync(Action<ImmutableArray<ReplicaStatus>> onChange, CancellationToken cancellationToken)
    {
        await foreach (var snapshot in _node.Agent.WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            onChange(snapshot);
            if (snapshot.All(r => r.State is ReplicaState.Ready or ReplicaState.Failed || r.Source == "handoff" || UpScreen.RestsOnDemand(r)))
            {
                return snapshot;
            }
        }

        throw new OperationCanceledException(cancellationToken);
    }

    /// <summary>Ordered stop: no new requests, running ones drain, then engines. A second call does nothing.</summary>
    /// <param name="hurry">Ends the drain.</param>
    public async Task StopAsync(CancellationToken hurry)
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        await _control.StopAsync(_drain, hurry).ConfigureAwait(false);
        await _node.StopAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await _publishing.DisposeAsync().ConfigureAwait(false);
        await _control.DisposeAsync().ConfigureAwait(false);
        await _node.DisposeAsync().ConfigureAwait(false);
    }

    private static async Task PublishAsync(ProjectRun run, NodeAgent node, ControlTraffic traffic, CancellationToken cancellationToken)
    {
        await foreach (var _ in node.WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            traffic.Publish();
            run.PoolsChanged();
        }
    }

    // What has failed for good inside this process and must be seen in health.
    private static IReadOnlyList<string> Faults(NodePart node, Exception?[] ours, Func<IEnumerable<Exception>> others) =>
        [.. node.Agent.Faults.Concat(others()).Concat(ours.OfType<Exception>()).Select(f => f.Message), .. node.Handoff.Troubles];

    /// <summary>Control to node, in memory.</summary>
    private sealed class MemoryLink(NodeAgent node) : INodeLink
    {
        public void ReportFault(ReplicaId replica, string reason) => node.ReportFault(replica, reason);

        public async Task<OperationStatus> RunAsync(string nodeId, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel)
        {
            try
            {
                return await node.RunAsync(command, progress, cancel).ConfigureAwait(false);
            }
            catch (OperationConflictException e)
            {
                return new OperationStatus
                {
                    Id = Guid.CreateVersion7().ToString(), Kind = command.Word, PoolId = command.PoolId, Status = OperationState.Failed, Error = e.Message, IsConflict = true,
                };
            }
        }
    }

    /// <summary>What the node asks of the requests on its replicas, answered by the control plane in memory, and by the node's own port.</summary>
    private sealed class ControlTraffic(ControlPlane control, NodePart part) : IReplicaTraffic
    {
        private readonly Lock _publishing = new();

        /// <summary>Tells the control plane how the replicas are. Always the newest word: two that publish must not overtake each other.</summary>
        public void Publish()
        {
            lock (_publishing)
            {
                control.Nodes.TellLocal(part.Facts(), part.Agent.Snapshot);
            }
        }

        public async Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
        {
            Publish(); // from here on nothing new is sent there
            return await control.QuietAsync(replica, url, deadline).ConfigureAwait(false) && await part.Runs.QuietAsync(replica, url, deadline).ConfigureAwait(false);
        }

        // Idle is what neither has used.
        public TimeSpan? IdleFor(ReplicaId replica, string url) => (control.IdleFor(replica, url), part.Runs.IdleFor(replica, url)) switch
        {
            ({ } here, { } there) => here < there ? here : there,
            var (here, there) => here ?? there,
        };

        public void Cut(ReplicaId replica, string url)
        {
            control.Cut(replica, url);
            part.Runs.Cut(replica, url);
        }
    }

    /// <summary>Keys and headers of remote providers, handed from node to control in memory; they are in no snapshot.</summary>
    private sealed class ProviderCredentials(NodeAgent node) : IUpstreamCredentials
    {
        private readonly ImmutableDictionary<string, ImmutableArray<KeyValuePair<string, string>>> _headers =
            node.Snapshot.DistinctBy(r => r.Id.PoolId).ToImmutableDictionary(r => r.Id.PoolId, r => Headers(node.CredentialsOf(r.Id)), StringComparer.Ordinal);

        public ImmutableArray<KeyValuePair<string, string>> HeadersOf(string poolId) => _headers.GetValueOrDefault(poolId, []);

        private static ImmutableArray<KeyValuePair<string, string>> Headers(UpstreamCredentials credentials) =>
            credentials.ApiKey is { } key ? [.. credentials.Headers, new("Authorization", "Bearer " + key)] : [.. credentials.Headers];
    }
}

/// <summary>Everything the serving part runs, read from the settings once.</summary>
internal sealed record ServingPlan(ControlOptions Control, NodeOptions Node, LinkOptions Link);
