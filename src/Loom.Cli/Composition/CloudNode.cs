using Loom.Agents.Project;
using Loom.Cli.Terminal;
using Loom.Core.Loops;
using Loom.Core.Web;
using Loom.Node;
using Loom.Node.Link;
using Loom.Node.Provisioning;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>A node agent alone: engines under a supervisor and a guardian, its port, and its way to the control plane where there is one.</summary>
internal sealed partial class CloudNode : IService
{
    private readonly LinkOptions _options;
    private readonly ProjectRun _run;
    private readonly NodePart _part;
    private readonly ControlPlaneLink? _link;
    private readonly MetricsListener _metrics;
    private readonly BackgroundLoop _showing;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _broken;
    private bool _stopped;
    private int _disposed;

    private CloudNode(LinkOptions options, ProjectRun run, NodePart part, ControlPlaneLink? link, MetricsListener metrics, BackgroundLoop showing, TimeProvider time)
    {
        _options = options;
        _run = run;
        _part = part;
        _link = link;
        _metrics = metrics;
        _showing = showing;
        _time = time;
        _broken = CancellationTokenSource.CreateLinkedTokenSource(run.Broken);
        _ = link?.Broken.ContinueWith(_ => _broken.Cancel(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    public IReadOnlyDictionary<string, string> Addresses => _run.State.Addresses;

    public string? RunId => _run.RunId;

    public CancellationToken Broken => _broken.Token;

    public Exception? Fault => _run.Fault ?? _part.Faults.FirstOrDefault();

    /// <summary>Fires when somebody asks this run to stop over its control socket.</summary>
    public CancellationToken DownRequested => _run.DownRequested;

    /// <summary>Opens the port, begins to start the pools and to register; returns while those still load.</summary>
    /// <param name="plan">What the node runs.</param>
    /// <param name="options">Its port and control planes.</param>
    /// <param name="run">Its run, which it disposes.</param>
    /// <param name="time">Clock.</param>
    /// <param name="loggers">Makes the loggers.</param>
    /// <param name="cancellationToken">Ends the start.</param>
    /// <exception cref="PortTakenException">A port is in use.</exception>
    public static async Task<CloudNode> StartAsync(
        NodeOptions plan, LinkOptions options, ProjectRun run, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        NodePart? part = null;
        MetricsListener? metrics = null;
        try
        {
            part = await NodePart.CreateAsync(plan, options, run, new Progress(loggers.CreateLogger("pool-managerd")), time, loggers, cancellationToken).ConfigureAwait(false);
            run.ShowPools(() => part.Agent.Snapshot);
            await part.OpenAsync(run, cancellationToken).ConfigureAwait(false);
            metrics = new MetricsListener(options, run.Token, part.Metrics, time, loggers);
            if (await metrics.OpenAsync(cancellationToken).ConfigureAwait(false) is { } address)
            {
                run.SetAddress("metrics", address);
            }
        }
        catch
        {
            if (metrics is not null)
            {
                await metrics.DisposeAsync().ConfigureAwait(false);
            }

            if (part is not null)
            {
                await part.DisposeAsync().ConfigureAwait(false);
            }

            await run.DisposeAsync().ConfigureAwait(false);
            throw;
        }

        var node = part;
        var link = options.ControlPlanes.IsEmpty ? null
            : new ControlPlaneLink(options, node.Listener.Address, node.Facts, new ServedNode(node.Agent), node.Runs, time, new Random(), loggers.CreateLogger("pool-managerd"));
        var showing = BackgroundLoop.Start("show pools", cancel => ShowAsync(run, node.Agent, cancel), loggers.CreateLogger("pool-managerd"));
        node.CountFaults(() => [.. link?.Faults ?? [], .. new[] { showing.Fault }.OfType<Exception>()]);
        node.Start(node.Runs);
        link?.Start();
        run.SetReady();
        return new CloudNode(options, run, node, link, metrics, showing, time);
    }

    /// <summary>Takes no new work, lets running work finish, signs off, stops the engines.</summary>
    public async Task StopAsync(CancellationToken hurry)
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        using var registration = hurry.Register(_run.Supervisor.Hurry);
        _link?.Drain();
        using (var drain = new CancellationTokenSource(_options.DrainDeadline, _time))
        using (var end = CancellationTokenSource.CreateLinkedTokenSource(drain.Token, hurry))
        {
            await _part.Runs.QuietAsync(end.Token).ConfigureAwait(false);
        }

        // Only now: what the control plane sent before it heard of the end could still be served.
        _part.Runs.Close();
        if (_link is not null)
        {
            await _link.LeaveAsync().ConfigureAwait(false);
        }

        await _part.StopAsync().ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0)
        {
            return;
        }

        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await _showing.DisposeAsync().ConfigureAwait(false);
        if (_link is not null)
        {
            await _link.DisposeAsync().ConfigureAwait(false);
        }

        await _metrics.DisposeAsync().ConfigureAwait(false);
        await _part.DisposeAsync().ConfigureAwait(false);
        await _run.DisposeAsync().ConfigureAwait(false);
        _broken.Dispose();
        if (!_run.Survivors.IsEmpty)
        {
            throw new CliError(ExitCode.Failed, "SURVIVORS", $"still alive: {string.Join("; ", _run.Survivors)}", "loom down --force");
        }
    }

    private static async Task ShowAsync(ProjectRun run, NodeAgent agent, CancellationToken cancellationToken)
    {
        await foreach (var _ in agent.WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            run.PoolsChanged();
        }
    }

    /// <summary>Progress of provisioning as lines of the log: a service has no screen.</summary>
    private sealed partial class Progress(ILogger log) : IProgress<ProvisionProgress>
    {
        private string _last = "";

        public void Report(ProvisionProgress value)
        {
            var words = $"{value.Step} {value.Status}";
            if (Interlocked.Exchange(ref _last, words) != words)
            {
                LogStep(log, value.Step, value.Status.ToString() ?? "", value.Human ?? "");
            }
        }

        [LoggerMessage(EventId = 380, Level = LogLevel.Information, Message = "{Step} {Status} {Human}")]
        private static partial void LogStep(ILogger logger, string step, string status, string human);
    }
}
