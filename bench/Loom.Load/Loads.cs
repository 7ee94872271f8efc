using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Loom.Load;

/// <summary>The loads: what is sent and what is timed. Each is a bounded closed loop over loopback.</summary>
internal static class Loads
{
    /// <summary>Whole requests over keep-alive connections; times are request to last byte.</summary>
    public static async Task<Sample> RequestsAsync(IPEndPoint address, byte[] request, int connections, TimeSpan length, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var loops = Enumerable.Range(0, connections).Select(_ => LoopAsync(address, request, clock, length, cancellationToken)).ToArray();
        var parts = await Task.WhenAll(loops).ConfigureAwait(false);
        return new Sample(parts.Sum(p => p.Sent), parts.Sum(p => p.Completed), clock.Elapsed.TotalSeconds, [.. parts.SelectMany(p => p.Milliseconds)]);
    }

    /// <summary>A number of whole requests over keep-alive connections; returns how many were answered with 200.</summary>
    public static async Task<int> CountAsync(IPEndPoint address, byte[] request, int connections, int count, CancellationToken cancellationToken)
    {
        var left = count;
        var completed = 0;
        async Task RunAsync()
        {
            using var connection = await Http1Connection.OpenAsync(address, cancellationToken).ConfigureAwait(false);
            while (Interlocked.Decrement(ref left) >= 0)
            {
                if (await connection.SendAsync(request, null, cancellationToken).ConfigureAwait(false) == 200)
                {
                    Interlocked.Increment(ref completed);
                }
            }
        }

        await Task.WhenAll(Enumerable.Range(0, connections).Select(_ => RunAsync())).ConfigureAwait(false);
        return completed;
    }

    /// <summary>Streams one after another; times are request to first event, and between events.</summary>
    public static async Task<(Sample First, Sample Gaps)> StreamsAsync(IPEndPoint address, byte[] request, int streams, int each, CancellationToken cancellationToken)
    {
        var clock = Stopwatch.StartNew();
        var first = new List<double>();
        var gaps = new List<double>();
        var sent = 0;
        var completed = 0;
        async Task RunAsync()
        {
            using var connection = await Http1Connection.OpenAsync(address, cancellationToken).ConfigureAwait(false);
            for (var i = 0; i < each; i++)
            {
                var start = Stopwatch.GetTimestamp();
                var last = 0L;
                var times = new List<double>();
                var ttft = 0d;
                var scanner = new EventCounter();
                Interlocked.Increment(ref sent);
                var status = await connection.SendAsync(
                    request,
                    data =>
                    {
                        for (var n = scanner.Count(data.Span); n > 0; n--)
                        {
                            var now = Stopwatch.GetTimestamp();
                            if (last == 0)
                            {
                                ttft = Stopwatch.GetElapsedTime(start, now).TotalMilliseconds;
                            }
                            else
                            {
                                times.Add(Stopwatch.GetElapsedTime(last, now).TotalMilliseconds);
                            }

                            last = now;
                        }
                    },
                    cancellationToken).ConfigureAwait(false);
                if (status == 200)
                {
                    lock (first)
                    {
                        completed++;
                        first.Add(ttft);
                        gaps.AddRange(times);
                    }
                }
            }
        }

        await Task.WhenAll(Enumerable.Range(0, streams).Select(_ => RunAsync())).ConfigureAwait(false);
        var seconds = clock.Elapsed.TotalSeconds;
        return (new Sample(sent, completed, seconds, first), new Sample(gaps.Count, gaps.Count, seconds, gaps));
    }

    private static async Task<Sample> LoopAsync(IPEndPoint address, byte[] request, Stopwatch clock, TimeSpan length, CancellationToken cancellationToken)
    {
        var times = new List<double>(4096);
        var sent = 0;
        var completed = 0;
        Http1Connection? connection = null;
        try
        {
            while (clock.Elapsed < length)
            {
                sent++;
                var start = Stopwatch.GetTimestamp();
                try
                {
                    connection ??= await Http1Connection.OpenAsync(address, cancellationToken).ConfigureAwait(false);
                    if (await connection.SendAsync(request, null, cancellationToken).ConfigureAwait(false) == 200)
                    {
                        completed++;
                        times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                    }
                }
                catch (Exception e) when (e is IOException or SocketException)
                {
                    // Counted as sent and not completed; the next request opens a new connection.
                    connection?.Dispose();
                    connection = null;
                }
            }
        }
        finally
        {
            connection?.Dispose();
        }

        return new Sample(sent, completed, clock.Elapsed.TotalSeconds, times);
    }

    /// <summary>Counts ends of SSE events, also when one is split between two pieces. Comments are not events.</summary>
    private struct EventCounter
    {
        private bool _lineEmpty = true;
        private bool _hasData;

        public EventCounter()
        {
        }

        public int Count(ReadOnlySpan<byte> data)
        {
            var events = 0;
            foreach (var b in data)
            {
                if (b == (byte)'\n')
                {
                    events += _lineEmpty && _hasData ? 1 : 0;
                    _hasData &= !_lineEmpty;
                    _lineEmpty = true;
                }
                else if (b != (byte)'\r')
                {
                    _hasData |= _lineEmpty && b == (byte)'d';
                    _lineEmpty = false;
                }
            }

            return events;
        }
    }
}
