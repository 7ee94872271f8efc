using Loom.Control;
using Loom.Core.Web;
using Microsoft.Extensions.Logging;

namespace Loom.Cli.Composition;

/// <summary>A control plane alone: no node in its process and no child; nodes register.</summary>
internal sealed class CloudControl : IService
{
    private readonly ControlPlane _control;
    private readonly TimeSpan _drain;
    private readonly CancellationTokenSource _broken = new();
    private bool _stopped;

    private CloudControl(ControlPlane control, TimeSpan drain)
    {
        _control = control;
        _drain = drain;
        _ = control.Nodes.Broken.ContinueWith(_ => _broken.Cancel(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    public IReadOnlyDictionary<string, string> Addresses => new[]
        {
            ("api", (Uri?)_control.ApiAddress, ""), ("metrics", _control.MetricsAddress, "/metrics"),
        }.Where(a => a.Item2 is not null).ToDictionary(a => a.Item1, a => a.Item2!.GetLeftPart(UriPartial.Authority) + a.Item3, StringComparer.Ordinal);

    public CancellationToken Broken => _broken.Token;

    public Exception? Fault => _control.Nodes.Faults.FirstOrDefault();

    /// <summary>Opens the listeners.</summary>
    /// <exception cref="PortTakenException">A port is in use.</exception>
    public static async Task<CloudControl> StartAsync(ControlOptions options, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        ControlPlane? control = null;
        control = new ControlPlane(options, null, time, new Random(), loggers, null, () => [.. control?.Nodes.Faults.Select(f => f.Message) ?? []]);
        try
        {
            await control.StartAsync(cancellationToken).ConfigureAwait(false);
            return new CloudControl(control, options.DrainDeadline);
        }
        catch
        {
            await control.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    public async Task StopAsync(CancellationToken hurry)
    {
        if (!_stopped)
        {
            _stopped = true;
            await _control.StopAsync(_drain, hurry).ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await _control.DisposeAsync().ConfigureAwait(false);
        _broken.Dispose();
    }
}
