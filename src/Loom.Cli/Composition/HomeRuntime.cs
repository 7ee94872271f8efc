using Loom.Agents.Orchestration;
using Loom.Agents.Project;
using Loom.Agents.Reload;
using Loom.Cli.Harness;
using Loom.Cli.Verbs;
using Loom.Core.Loops;
using Loom.Core.Telemetry;
using Loom.Core.Web;
using Loom.Node.Provisioning;
using Loom.Wire;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>What <c>loom up</c> runs, whole: engines, pools and API where the project needs them, and its agents. Parts stop in the reverse order of their start, whatever fails.</summary>
internal sealed class HomeRuntime : IAsyncDisposable
{
    private readonly ProjectRun _run;
    private readonly BackgroundLoop? _feed;
    private readonly HotReload _reload;
    private bool _stopped;

    private HomeRuntime(ProjectRun run, ServingRuntime? serving, SystemsRuntime? systems, AgentHost agents, HotReload reload, BackgroundLoop? feed)
    {
        Systems = systems;
        _reload = reload;
        _run = run;
        Serving = serving;
        Agents = agents;
        _feed = feed;
    }

    /// <summary>Engines, pools and the API; null where the project needs none.</summary>
    public ServingRuntime? Serving { get; }

    /// <summary>The dataflow systems; null where the run is for an agent alone.</summary>
    public SystemsRuntime? Systems { get; }

    /// <summary>The owner of the agents; nothing is started before it is asked to.</summary>
    public AgentHost Agents { get; }

    /// <summary>Opens the listeners, then begins to start the pools; returns while those still load. Agents are known, none is started.</summary>
    /// <exception cref="PortTakenException">A port is in use; nothing was started.</exception>
    public static async Task<HomeRuntime> StartAsync(
        HomePlan plan, ProjectRun run, IProgress<ProvisionProgress> progress, OtlpExport? export, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        AgentHost? agents = null;
        HotReload? reload = null;
        var systems = plan.Wish.EndsByItself ? null : new SystemsRuntime(plan.Systems, plan.Settings, run, time, loggers) { Export = export };
        var serving = plan.Serving is { } parts
            ? await ServingRuntime.StartAsync(parts, run, progress, () => [.. agents?.Faults ?? [], .. reload?.Faults ?? []], systems?.Guests, time, loggers, cancellationToken).ConfigureAwait(false)
            : null;
        try
        {
            if (systems is not null)
            {
                await systems.StartAsync(serving?.Api, cancellationToken).ConfigureAwait(false);
            }

            // Only now are the addresses known that agents are handed.
            var project = plan.Agents(run.RunId, serving?.Api).Plan;
            if (!project.Agents.IsEmpty)
            {
                plan.Folders.Create();
            }

            agents = new AgentHost(project, run.Supervisor, loggers.CreateLogger("agents"));
        }
        catch
        {
            await DisposeAsync(systems, serving).ConfigureAwait(false);
            throw;
        }

        var host = agents;
        reload = new HotReload(host, run.Supervisor, time, loggers.CreateLogger("agents"));
        var feed = serving is null ? null : BackgroundLoop.Start("pools to agents", cancel => FeedAsync(serving, host, cancel), loggers.CreateLogger("agents"));
        return new HomeRuntime(run, serving, systems, agents, reload, feed);
    }

    /// <summary>Why nothing orchestrates or reloads any more; null while all is well.</summary>
    public Exception? Fault => Agents.Faults.Concat(_reload.Faults).FirstOrDefault();

    /// <summary>Ordered stop: systems drain, then agents, then no new requests, running ones drain, then engines. A second call does nothing.</summary>
    /// <param name="hurry">Ends all patience.</param>
    public async Task StopAsync(CancellationToken hurry)
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        using var registration = hurry.Register(_run.Supervisor.Hurry);
        await _reload.DisposeAsync().ConfigureAwait(false);
        if (Systems is not null)
        {
            await Systems.StopAsync(hurry).ConfigureAwait(false);
        }

        await Agents.StopAllAsync(hurry).ConfigureAwait(false);
        if (Serving is not null)
        {
            await Serving.StopAsync(hurry).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        if (_feed is not null)
        {
            await _feed.DisposeAsync().ConfigureAwait(false);
        }

        await Agents.DisposeAsync().ConfigureAwait(false);
        await DisposeAsync(Systems, Serving).ConfigureAwait(false);
    }

    private static async ValueTask DisposeAsync(SystemsRuntime? systems, ServingRuntime? serving)
    {
        if (systems is not null)
        {
            await systems.DisposeAsync().ConfigureAwait(false);
        }

        if (serving is not null)
        {
            await serving.DisposeAsync().ConfigureAwait(false);
        }
    }

    // Agents may wait for a pool.
    private static async Task FeedAsync(ServingRuntime serving, AgentHost agents, CancellationToken cancellationToken)
    {
        await foreach (var replicas in serving.WatchAsync(cancellationToken).ConfigureAwait(false))
        {
            foreach (var pool in replicas.GroupBy(r => r.Id.PoolId, StringComparer.Ordinal))
            {
                agents.PoolChanged(
                    pool.Key,
                    started: pool.Any(r => r.State is not (ReplicaState.Provisioning or ReplicaState.Failed or ReplicaState.Stopped) || UpScreen.RestsOnDemand(r)),
                    ready: pool.Any(r => r.State == ReplicaState.Ready || UpScreen.RestsOnDemand(r)),
                    failed: pool.All(r => r.State == ReplicaState.Failed));
            }
        }
    }
}
