using Loom.Agents.Project;
using Loom.Cli.Verbs;
using Loom.Core.Binaries;
using Loom.Core.Gpus;
using Loom.Core.Web;
using Loom.Node;
using Loom.Node.Engines;
using Loom.Node.Handoff;
using Loom.Node.Inventory;
using Loom.Node.Link;
using Loom.Node.Plans;
using Loom.Node.Pools;
using Loom.Node.Provisioning;
using Loom.Node.Telemetry;
using Loom.Node.Threads;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>The node of this machine with everything it stands on and its port: the same in <c>loom up</c> and in <c>loom pool-managerd</c>.</summary>
internal sealed partial class NodePart : IAsyncDisposable
{
    private readonly NodeOptions _options;
    private readonly LinkOptions _link;
    private readonly string _instance;
    private readonly CpuFacts _cpu;
    private readonly GpuInventory _gpus;
    private readonly HttpMessageInvoker _transfers;
    private readonly Provisioner _provisioner;
    private string _address = "";
    private Func<IEnumerable<Exception>> _others = static () => [];

    private NodePart(NodeOptions options, LinkOptions link, string instance, CpuFacts cpu, GpuInventory gpus, HttpMessageInvoker transfers, Provisioner provisioner, NodeAgent agent,
        NodeMetrics metrics, NodeHandoff handoff, ProxiedRuns runs, AgentListener listener)
    {
        _options = options;
        _link = link;
        _instance = instance;
        _cpu = cpu;
        _gpus = gpus;
        _transfers = transfers;
        _provisioner = provisioner;
        Agent = agent;
        Metrics = metrics;
        Handoff = handoff;
        Runs = runs;
        Listener = listener;
    }

    /// <summary>The node.</summary>
    public NodeAgent Agent { get; }

    /// <summary>What has failed for good, in the node and in what its owner runs for it; its health counts them.</summary>
    public IEnumerable<Exception> Faults => Agent.Faults.Concat(_others());

    /// <summary>What it measures.</summary>
    public NodeMetrics Metrics { get; }

    /// <summary>Its handoff folder.</summary>
    public NodeHandoff Handoff { get; }

    /// <summary>Requests that pass through its port.</summary>
    public ProxiedRuns Runs { get; }

    /// <summary>Its port.</summary>
    public AgentListener Listener { get; }

    /// <summary>Makes the node, all its pools stopped and its port closed.</summary>
    /// <param name="options">What it runs.</param>
    /// <param name="link">Its port.</param>
    /// <param name="run">The run whose children its engines are.</param>
    /// <param name="progress">Watches the provisioning.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Makes the loggers.</param>
    /// <param name="cancellationToken">Ends the first look at the GPUs.</param>
    /// <exception cref="GpuMaskException">A GPU that was asked for is not there.</exception>
    public static async Task<NodePart> CreateAsync(
        NodeOptions options, LinkOptions link, ProjectRun run, IProgress<ProvisionProgress> progress, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var gpus = await NodeGpus.StartAsync(options, run.Supervisor, time, loggers, cancellationToken).ConfigureAwait(false);
        var machine = MachineProbe.Launch(options.Environment, gpus);
        var cpu = CpuFacts.OfThisMachine();
        var transfers = Transfer.CreateClient();
        var provisioner = new Provisioner(options, run.Supervisor, new Transfer(transfers, new TransferDisk(), time, new Random()), machine, MachineProbe.FreeMemory, time);
        var metrics = new NodeMetrics(run.Supervisor, gpus, time);
        var agent = new NodeAgent(options, run.Supervisor, new WatchedProvisioner(provisioner, [progress, metrics], loggers.CreateLogger("pool-managerd")), machine, cpu, time, loggers, new GpuMemory(gpus));
        var runs = new ProxiedRuns(time);
        NodePart? part = null;
        var listener = new AgentListener(link with { RunToken = run.Token }, new ServedNode(agent), runs, () => part?.Faults.Count() ?? 0, time, loggers);
        metrics.Observe(agent, loggers.CreateLogger("pool-managerd"));
        var handoff = new NodeHandoff(options, agent, time, loggers, metrics.Handoff);
        return part = new NodePart(options, link, run.RunId, cpu, gpus, transfers, provisioner, agent, metrics, handoff, runs, listener);
    }

    /// <summary>Opens the port and says where it is.</summary>
    /// <exception cref="PortTakenException">It is in use.</exception>
    public async Task OpenAsync(ProjectRun run, CancellationToken cancellationToken)
    {
        await Listener.StartAsync(cancellationToken).ConfigureAwait(false);
        _address = Listener.Address.GetLeftPart(UriPartial.Authority);
        run.SetAddress("node", _address);
    }

    /// <summary>Begins to start the pools and to watch the handoff folder.</summary>
    /// <param name="traffic">Who knows the requests on its replicas.</param>
    public void Start(IReplicaTraffic traffic)
    {
        Agent.Start(traffic);
        Handoff.Start();
    }

    /// <summary>Counts what fails for good outside the node as its failure, too.</summary>
    public void CountFaults(Func<IEnumerable<Exception>> others) => _others = others;

    /// <summary>Stops every engine; returns when no process of them is left.</summary>
    public async Task StopAsync()
    {
        await Handoff.DisposeAsync().ConfigureAwait(false);
        await Agent.StopAsync(CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Who this node is and what its machine has now.</summary>
    public NodeRegistration Facts()
    {
        var gpus = _gpus.Current;
        return new NodeRegistration
        {
            NodeId = _options.NodeId,
            MachineId = _link.MachineId,
            InstanceId = _instance,
            Address = _address,
            Pools = [.. _options.Pools.Select(p => p.Id)],
            Capabilities = new NodeCapabilities
            {
                Gpus = gpus.Devices,
                GpuSource = gpus.Source,
                CpuCores = _cpu.Usable,
                RamTotalBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
                EngineKinds = [.. _options.Pools.Select(p => p.Engine.Kind).Distinct(StringComparer.Ordinal)],
            },
            Version = Build.Current.Version,
            Mock = gpus.Mock || _options.Pools.Any(p => p.Engine.Kind == EngineKinds.Mock),
        };
    }

    /// <summary>Closes the port, then stops what still runs.</summary>
    public async ValueTask DisposeAsync()
    {
        await Listener.DisposeAsync().ConfigureAwait(false);
        await Handoff.DisposeAsync().ConfigureAwait(false);
        await Metrics.DisposeAsync().ConfigureAwait(false);
        await Agent.DisposeAsync().ConfigureAwait(false);
        _provisioner.Dispose();
        _transfers.Dispose();
        await _gpus.DisposeAsync().ConfigureAwait(false);
    }

    /// <summary>Shows the work of a provisioner to those who watch the start, too.</summary>
    private sealed partial class WatchedProvisioner(IProvisioner inner, IProgress<ProvisionProgress>[] watchers, ILogger logger) : IProvisioner
    {
        public ModelStore? Models => inner.Models;

        public Task<PreparedEngine> PrepareAsync(PoolPlan pool, IProgress<ProvisionProgress> progress, CancellationToken cancellationToken) =>
            inner.PrepareAsync(pool, new All(progress, watchers, logger), cancellationToken);

        private sealed class All(IProgress<ProvisionProgress> asked, IProgress<ProvisionProgress>[] watchers, ILogger logger) : IProgress<ProvisionProgress>
        {
            public void Report(ProvisionProgress value)
            {
                asked.Report(value);
                foreach (var watcher in watchers)
                {
                    try
                    {
                        watcher.Report(value);
                    }
                    catch (Exception e)
                    {
                        LogWatcher(logger, e, value.Step); // who only looks on must not be what the work fails by
                    }
                }
            }
        }

        [LoggerMessage(EventId = 322, Level = LogLevel.Error, Message = "whoever watches the step {Step} of provisioning failed")]
        private static partial void LogWatcher(ILogger logger, Exception error, string step);
    }
}
