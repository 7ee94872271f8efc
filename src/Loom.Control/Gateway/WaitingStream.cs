using System.Globalization;
using System.Text;
using Loom.Control.Admission;
using Microsoft.AspNetCore.Http;

namespace Loom.Control.Gateway;

/// <summary>
/// Keeps the client of a waiting stream informed: after a while it gets its headers, and from then on a comment at each interval, so that nothing on
/// the way takes the silence for a dead connection.
/// </summary>
internal sealed class WaitingStream(CallWatch watch, ClientWriter client, GatewayOptions options, AdmissionDesk desk, TimeProvider time)
{
    private HttpContext _http = null!;
    private long _started;

    /// <summary>Whether 200 and the headers are out, so that an error can only be told as an event.</summary>
    public bool HeadersSent { get; private set; }

    public void Reset(HttpContext http, long started)
    {
        _http = http;
        _started = started;
        HeadersSent = false;
    }

    /// <summary>Waits for a task; it may fail, which its awaiter will see.</summary>
    public async ValueTask WaitAsync(Task pending, Ticket ticket, CancellationToken cancel)
    {
        while (!pending.IsCompleted && !cancel.IsCancellationRequested)
        {
            var early = options.SseEarlyHeaders - time.GetElapsedTime(_started);
            var patience = HeadersSent ? options.SseKeepAlive : early > TimeSpan.Zero ? early : TimeSpan.Zero;
            await pending.WaitAsync(patience, time, cancel).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!pending.IsCompleted && !cancel.IsCancellationRequested)
            {
                await TellAsync(ticket).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask TellAsync(Ticket ticket)
    {
        var response = _http.Response;
        if (!HeadersSent)
        {
            HeadersSent = true;
            LoomHeaders.Stream(response.Headers);
        }

        client.Write(Encoding.ASCII.GetBytes(Comment(ticket)));
        // A client that does not read is given up; one that reads slowly still waits for what it waited for.
        var limit = watch.SilenceLimit;
        await client.FlushAsync().ConfigureAwait(false);
        watch.SilenceLimit = limit;
    }

    private string Comment(Ticket ticket)
    {
        var (position, estimate) = desk.Outlook(ticket);
        return position < 0 ? ": prefill\n\n"
            : ticket.Route.LoadPercent() is { } percent ? string.Create(CultureInfo.InvariantCulture, $": loading pct={percent}\n\n")
            : string.Create(CultureInfo.InvariantCulture, $": queued position={position} eta_ms={estimate.Milliseconds:F0}\n\n");
    }
}
