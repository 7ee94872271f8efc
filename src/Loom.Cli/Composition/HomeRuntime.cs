using Loom.Agents.Project;
using Loom.Control;
using Loom.Node.Provisioning;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>What <c>loom up</c> runs, whole. Parts stop in the reverse order of their start, whatever fails.</summary>
internal sealed class HomeRuntime : IAsyncDisposable
{
    private readonly ProjectRun _run;
    private bool _stopped;

    private HomeRuntime(ProjectRun run, ServingRuntime serving)
    {
        _run = run;
        Serving = serving;
    }

    /// <summary>Engines, pools and the API.</summary>
    public ServingRuntime Serving { get; }

    /// <summary>Opens the listeners, then begins to start the pools; returns while those still load.</summary>
    /// <exception cref="PortTakenException">A port is in use; nothing was started.</exception>
    public static async Task<HomeRuntime> StartAsync(
        HomePlan plan, ProjectRun run, IProgress<ProvisionProgress> progress, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken) =>
        new(run, await ServingRuntime.StartAsync(plan.Serving, run, progress, time, loggers, cancellationToken).ConfigureAwait(false));

    /// <summary>Ordered stop: no new requests, running ones drain, then engines. A second call does nothing.</summary>
    /// <param name="hurry">Ends all patience.</param>
    public async Task StopAsync(CancellationToken hurry)
    {
        if (_stopped)
        {
            return;
        }

        _stopped = true;
        using var registration = hurry.Register(_run.Supervisor.Hurry);
        await Serving.StopAsync(hurry).ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await Serving.DisposeAsync().ConfigureAwait(false);
    }
}
