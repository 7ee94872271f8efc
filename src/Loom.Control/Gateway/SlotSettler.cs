using System.Text.Json;
using System.Threading.Channels;
using Loom.Control.Admission;
using Loom.Control.Api;
using Loom.Control.Catalog;
using Loom.Core.Loops;
using Microsoft.Extensions.Logging;

namespace Loom.Control.Gateway;

/// <summary>
/// Gives the slots of cancelled requests back once their engine reports them idle, at most a second after the cancellation. An engine that is sent the next
/// request sooner would let it wait, or refuse it.
/// </summary>
internal sealed class SlotSettler : IAsyncDisposable
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(10);

    // All engines are asked together, so the slowest of them sets the pace of all.
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(100);

    private readonly Channel<Cancelled> _cancelled = Channel.CreateUnbounded<Cancelled>(new UnboundedChannelOptions { SingleReader = true });
    private readonly AdmissionDesk _desk;
    private readonly UpstreamClient _upstream;
    private readonly IUpstreamCredentials _credentials;
    private readonly ControlMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly BackgroundLoop _loop;

    public SlotSettler(AdmissionDesk desk, UpstreamClient upstream, IUpstreamCredentials credentials, ControlMetrics metrics, TimeProvider time, ILogger log)
    {
        _desk = desk;
        _upstream = upstream;
        _credentials = credentials;
        _metrics = metrics;
        _time = time;
        _loop = BackgroundLoop.Start("settle cancelled slots", RunAsync, log);
    }

    /// <summary>Takes over the slot of a request that was cut while the engine worked. Never blocks.</summary>
    /// <param name="ticket">Holder; it holds nothing afterwards.</param>
    /// <param name="phase">Where its client left, for the metric; null = its client did not leave.</param>
    /// <param name="cutAt">When it was cut, as a timestamp.</param>
    public void Take(Ticket ticket, string? phase, long cutAt)
    {
        if (_desk.Settle(ticket) is { } replica)
        {
            _cancelled.Writer.TryWrite(new Cancelled(replica, phase, cutAt));
        }
    }

    /// <summary>The error that ended it; null while it runs.</summary>
    public Exception? Fault => _loop.Fault;

    public ValueTask DisposeAsync() => _loop.DisposeAsync();

    private async Task RunAsync(CancellationToken stop)
    {
        List<Cancelled> open = [];
        while (open.Count > 0 || await _cancelled.Reader.WaitToReadAsync(stop).ConfigureAwait(false))
        {
            while (_cancelled.Reader.TryRead(out var one))
            {
                open.Add(one);
            }

            await Task.WhenAll(open.GroupBy(c => c.Replica.Load).Select(group => LookAsync([.. group], open, stop))).ConfigureAwait(false);
            if (open.Count > 0)
            {
                await Task.Delay(s_pause, _time, stop).ConfigureAwait(false);
            }
        }
    }

    private async Task LookAsync(List<Cancelled> group, List<Cancelled> open, CancellationToken stop)
    {
        var replica = group[0].Replica;
        var left = s_longest - _time.GetElapsedTime(group[0].CutAt);
        var busy = left > TimeSpan.Zero ? await BusyAsync(replica, left < s_look ? left : s_look, stop).ConfigureAwait(false) : null;
        var (leases, settling) = _desk.UseOf(replica);
        var idle = busy is { } slots ? Math.Clamp(leases - slots, 0, settling)
            // Silent to the end, or one of those that do not tell.
            : group.Count(c => left > TimeSpan.Zero || _time.GetElapsedTime(c.CutAt) >= s_longest);
        if (idle == 0)
        {
            return;
        }

        _desk.Settled(replica, idle);
        // Which of them are idle nobody can tell; the oldest has waited longest.
        lock (open)
        {
            foreach (var done in group.Take(idle))
            {
                open.Remove(done);
                if (done.Phase is { } phase)
                {
                    _metrics.Cut(phase, _time.GetElapsedTime(done.CutAt).TotalSeconds);
                }
            }
        }
    }

    // Slots the engine works on; null when it does not tell.
    private async Task<int?> BusyAsync(Replica replica, TimeSpan patience, CancellationToken stop)
    {
        if (replica.Beside("/slots") is not { } target)
        {
            return null;
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
        using var timer = new CancellationTokenSource(patience, _time);
        await using var linked = timer.Token.UnsafeRegister(static limit => ((CancellationTokenSource)limit!).Cancel(), limit).ConfigureAwait(false);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, target);
            foreach (var (name, value) in _credentials.HeadersFor(replica.Status))
            {
                // In a cluster an agent stands before the engine.
                request.Headers.TryAddWithoutValidation(name, value);
            }

            using var answer = await _upstream.AskAsync(replica, request, limit.Token).ConfigureAwait(false);
            if (!answer.IsSuccessStatusCode)
            {
                return null;
            }

            return Count(await answer.Content.ReadAsByteArrayAsync(limit.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // It may be too busy to tell.
            return int.MaxValue;
        }
        catch (Exception e) when (e is HttpRequestException or IOException or JsonException)
        {
            return null;
        }
    }

    private static int? Count(byte[] json)
    {
        using var document = JsonDocument.Parse(json);
        return document.RootElement.ValueKind == JsonValueKind.Array
            ? document.RootElement.EnumerateArray().Count(s => s.ValueKind == JsonValueKind.Object && s.TryGetProperty("is_processing"u8, out var busy) && busy.ValueKind == JsonValueKind.True)
            : null;
    }

    private sealed record Cancelled(Replica Replica, string? Phase, long CutAt);
}
