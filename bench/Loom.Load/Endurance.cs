using System.Globalization;

namespace Loom.Load;

/// <summary>What many requests and many waiting streams cost in memory.</summary>
internal sealed class Endurance(Stage stage, Report report)
{
    private const int Few = 10_000;
    private const int Many = 1_000_000;
    private const int Streams = 2000;
    private static readonly TimeSpan s_settle = TimeSpan.FromSeconds(3);

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await WaitingAsync(cancellationToken).ConfigureAwait(false);
        var request = Serving.Chat("mock", 900, 1, stream: false);
        var address = stage.Contenders["loom"];
        var completed = await Loads.CountAsync(address, request, 16, Few, cancellationToken).ConfigureAwait(false);
        var early = await SettledAsync(cancellationToken).ConfigureAwait(false);
        completed += await Loads.CountAsync(address, request, 16, Many - Few, cancellationToken).ConfigureAwait(false);
        var late = await SettledAsync(cancellationToken).ConfigureAwait(false);
        report.Line(string.Create(
            CultureInfo.InvariantCulture,
            $"- memory after {Few:N0} requests {early / 1e6:F0} MB, after {Many:N0} {late / 1e6:F0} MB: {(double)late / early:F2}×; {completed:N0} of {Many:N0} completed"));
    }

    // One slot, held by an engine that never answers; everybody behind it waits with a connection and a place in the queue.
    private async Task WaitingAsync(CancellationToken cancellationToken)
    {
        var request = Serving.Chat("narrow", 900, 10, stream: true);
        var before = await SettledAsync(cancellationToken).ConfigureAwait(false);
        var open = new List<Http1Connection>();
        var pending = new List<Task>();
        try
        {
            for (var i = 0; i < Streams; i++)
            {
                var connection = await Http1Connection.OpenAsync(stage.Contenders["loom"], cancellationToken).ConfigureAwait(false);
                open.Add(connection);
                pending.Add(connection.SendAsync(request, null, cancellationToken).AsTask());
            }

            // Early headers and the first comment included.
            await Task.Delay(s_settle + TimeSpan.FromSeconds(10), cancellationToken).ConfigureAwait(false);
            var waiting = pending.Count(p => !p.IsCompleted);
            var after = stage.LoomProcess.Resident();
            report.Line(string.Create(CultureInfo.InvariantCulture, $"- memory per waiting stream: {(after - before) / 1024.0 / Streams:F1} KiB ({Streams:N0} open, {waiting:N0} still waiting)"));
        }
        finally
        {
            open.ForEach(c => c.Dispose());
            await Task.WhenAll(pending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<long> SettledAsync(CancellationToken cancellationToken)
    {
        await Task.Delay(s_settle, cancellationToken).ConfigureAwait(false);
        return stage.LoomProcess.Resident();
    }
}
