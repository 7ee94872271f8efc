using System.Collections.Immutable;
using Loom.Agents.Project;
using Loom.Cli.Verbs;
using Loom.Control;
using Loom.Control.Gateway;
using Loom.Control.Nodes;
using Loom.Core.Binaries;
using Loom.Core.Gpus;
using Loom.Core.Loops;
using Loom.Core.Web;
using Loom.Node;
using Loom.Node.Engines;
using Loom.Node.Handoff;
using Loom.Node.Inventory;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;
using Loom.Node.Threads;
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
    private readonly NodeAgent _node;
    private readonly NodeHandoff _handoff;
    private readonly Provisioner _provisioner;
    private readonly HttpMessageInvoker _transfers;
    private readonly GpuInventory _gpus;
    private readonly ControlPlane _control;
    private readonly BackgroundLoop _publishing;
    private bool _stopped;

    private ServingRuntime(
        TimeSpan drain, NodeAgent node, NodeHandoff handoff, Provisioner provisioner, HttpMessageInvoker transfers, GpuInventory gpus, ControlPlane control, BackgroundLoop publishing)
    {
        _drain = drain;
        _node = node;
        _handoff = handoff;
        _provisioner = provisioner;
        _transfers = transfers;
        _gpus = gpus;
        _control = control;
        _publishing = publishing;
    }

    /// <summary>Address of the API without path.</summary>
    public Uri Api => _control.ApiAddress;

    /// <summary>Address of the metrics listener; null when it is off.</summary>
    public Uri? Metrics => _control.MetricsAddress;

    /// <summary>How all replicas are now.</summary>
    public ImmutableArray<ReplicaStatus> Replicas => _node.Snapshot;

    /// <summary>Opens the listeners, then begins to start the pools; returns while those still load.</summary>
    /// <exception cref="PortTakenException">A port is in use; nothing was started.</exception>
    /// <exception cref="GpuMaskException">A GPU that was asked for is not there; nothing was started.</exception>
    public static async Task<ServingRuntime> StartAsync(
        ServingPlan plan,
        ProjectRun run,
        IProgress<ProvisionProgress> progress,
        Func<IEnumerable<Exception>> otherFaults,
        TimeProvider time,
        ILoggerFactory loggers,
        CancellationToken cancellationToken)
    {
        var gpus = await NodeGpus.StartAsync(plan.Node, run.Supervisor, time, loggers, cancellationToken).ConfigureAwait(false);
        var machine = MachineProbe.Launch(plan.Node.Environment, gpus);
        var transfers = Transfer.CreateClient();
        var provisioner = new Provisioner(plan.Node, run.Supervisor, new Transfer(transfers, new TransferDisk(), time, new Random()), machine, MachineProbe.FreeMemory, time);
        var node = new NodeAgent(plan.Node, run.Supervisor, new WatchedProvisioner(provisioner, progress), machine, CpuFacts.OfThisMachine(), time, loggers, new GpuMemory(gpus));
        var handoff = new NodeHandoff(plan.Node, node, time, loggers);
        ControlPlane? control = null;
        ControlTraffic? traffic = null;
        BackgroundLoop? publishing = null;
        try
        {
            var api = plan.Control.Api with { RunToken = run.Token };
            control = new ControlPlane(
                plan.Control with { Api = api }, new MemoryLink(node), time, new Random(), loggers, new ProviderCredentials(node), () => Faults(node, handoff, publishing, otherFaults));
            // Before the port opens: a client that is quick must not be told that a pool does not exist.
            traffic = new ControlTraffic(control, node);
            traffic.Publish();
            publishing = BackgroundLoop.Start("publish replicas", cancel => PublishAsync(run, node, traffic, cancel), loggers.CreateLogger("loom"));
            run.ShowPools(() => node.Snapshot);
            await control.StartAsync(cancellationToken).ConfigureAwait(false);
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

            await handoff.DisposeAsync().ConfigureAwait(false);
            await node.DisposeAsync().ConfigureAwait(false);
            provisioner.Dispose();
            transfers.Dispose();
            await gpus.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        run.SetAddress("api", control.ApiAddress.GetLeftPart(UriPartial.Authority));
        if (control.MetricsAddress is { } metrics)
        {
            run.SetAddress("metrics", metrics.GetLeftPart(UriPartial.Authority) + "/metrics");
        }

        var runtime = new ServingRuntime(plan.Control.DrainDeadline, node, handoff, provisioner, transfers, gpus, control, publishing);
        node.Start(traffic);
        handoff.Start();
        return runtime;
    }

    /// <summary>Each snapshot of the replicas from now on, the present one first.</summary>
    public IAsyncEnumerable<ImmutableArray<ReplicaStatus>> WatchAsync(CancellationToken cancellationToken) => _node.WatchAsync(cancellationToken);

    /// <summary>Waits until every pool is ready, rests until somebody asks for it, or has failed for good.</summary>
    /// <param name="onChange">Called with each snapshot on the way.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<ImmutableArray<ReplicaStatus>> SettledAsync(Action<ImmutableArray<ReplicaStatus>> onChange, CancellationToken cancellationToken)
    {
        await foreach (var snapshot in _node.WatchAsync(cancellationToken).ConfigureAwait(false))
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
        await _handoff.DisposeAsync().ConfigureAwait(false);
        await _node.StopAsync(CancellationToken.None).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await _publishing.DisposeAsync().ConfigureAwait(false);
        await _control.DisposeAsync().ConfigureAwait(false);
        await _node.DisposeAsync().ConfigureAwait(false);
        _provisioner.Dispose();
        _transfers.Dispose();
        await _gpus.DisposeAsync().ConfigureAwait(false);
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
    private static IReadOnlyList<string> Faults(NodeAgent node, NodeHandoff handoff, BackgroundLoop? publishing, Func<IEnumerable<Exception>> others) =>
        [.. node.Faults.Concat(others()).Select(f => f.Message), .. handoff.Troubles, .. publishing?.Fault is { } fault ? new[] { fault.Message } : []];

    /// <summary>Control to node, in memory.</summary>
    private sealed class MemoryLink(NodeAgent node) : INodeLink
    {
        public void ReportFault(ReplicaId replica, string reason) => node.ReportFault(replica, reason);

        public Task<OperationStatus> RunAsync(string nodeId, PoolCommand command, Action<OperationStatus> progress, CancellationToken cancel) =>
            node.RunAsync(command, progress, cancel);
    }

    /// <summary>What the node asks of the requests on its replicas, answered by the control plane, in memory.</summary>
    private sealed class ControlTraffic(ControlPlane control, NodeAgent node) : IReplicaTraffic
    {
        private readonly Lock _publishing = new();

        /// <summary>Tells the control plane how the replicas are. Always the newest word: two that publish must not overtake each other.</summary>
        public void Publish()
        {
            lock (_publishing)
            {
                control.Replicas.Publish(node.Snapshot);
            }
        }

        public Task<bool> QuietAsync(ReplicaId replica, string url, CancellationToken deadline)
        {
            Publish(); // from here on nothing new is sent there
            return control.QuietAsync(replica, url, deadline);
        }

        public void Cut(ReplicaId replica, string url) => control.Cut(replica, url);
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

    /// <summary>Shows the work of a provisioner to whoever watches the start.</summary>
    private sealed class WatchedProvisioner(IProvisioner inner, IProgress<ProvisionProgress> watcher) : IProvisioner
    {
        public ModelStore? Models => inner.Models;

        public Task<PreparedEngine> PrepareAsync(PoolPlan pool, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken) =>
            inner.PrepareAsync(pool, new Both(progress, watcher), cancellationToken);

        private sealed class Both(IProgress<ProvisionProgress> first, IProgress<ProvisionProgress> second) : IProgress<ProvisionProgress>
        {
            public void Report(ProvisionProgress value)
            {
                first.Report(value);
                second.Report(value);
            }
        }
    }
}

/// <summary>Everything the serving part runs, read from the settings once.</summary>
internal sealed record ServingPlan(ControlOptions Control, NodeOptions Node);
