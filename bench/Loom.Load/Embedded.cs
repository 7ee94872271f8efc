using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Loom.Load;

/// <summary>Tokens a second of the real embedded engine on the demo model, by the number of threads asked for; rounds interleaved.</summary>
internal static class Embedded
{
    public static async Task RunAsync(string adapter, string model, int rounds, string folder, Report report, CancellationToken cancellationToken)
    {
        var engines = new Dictionary<string, (Child Process, IPEndPoint Address)>(StringComparer.Ordinal);
        try
        {
            foreach (var threads in new[] { 1, 2 })
            {
                var port = Child.FreePort();
                var child = Child.Start("node", string.Create(CultureInfo.InvariantCulture, $"{adapter}/server.js --model {model} --port {port} --slots 4 --threads {threads}"), folder);
                await child.ListeningAsync(port, TimeSpan.FromSeconds(30)).ConfigureAwait(false);
                var address = new IPEndPoint(IPAddress.Loopback, port);
                await HealthyAsync(address, cancellationToken).ConfigureAwait(false);
                engines[$"{threads} asked"] = (child, address);
            }

            var rates = engines.Keys.ToDictionary(k => k, _ => new List<double>(), StringComparer.Ordinal);
            for (var round = -1; round < rounds; round++)
            {
                foreach (var (name, engine) in engines)
                {
                    var rate = await RateAsync(engine.Address, cancellationToken).ConfigureAwait(false);
                    if (round >= 0)
                    {
                        rates[name].Add(rate);
                    }
                }
            }

            report.Line("");
            report.Line("### Embedded engine, demo model, one stream: tokens a second");
            report.Line("");
            foreach (var (name, list) in rates)
            {
                report.Line($"- threads {name}: {Sample.Median(list).ToString("0", CultureInfo.InvariantCulture)} tokens/s");
            }
        }
        finally
        {
            foreach (var (child, _) in engines.Values)
            {
                child.Dispose();
            }
        }
    }

    private static async Task<double> RateAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        // Token 1 is the demo model's end of text: without it a round would be a hundred short requests.
        const int Tokens = 1000;
        var body = $$"""{"model":"demo","prompt":"the weaver","max_tokens":{{Tokens}},"temperature":1,"seed":1,"stream":true,"logit_bias":{"1":-100} }""";
        using var connection = await Http1Connection.OpenAsync(address, cancellationToken).ConfigureAwait(false);
        var request = Http1Connection.Request("POST", "/v1/completions", body);
        var start = Stopwatch.GetTimestamp();
        var events = 0;
        for (var asked = 0; asked < 40 && events < Tokens; asked++)
        {
            await connection.SendAsync(request, data => events += Count(data.Span), cancellationToken).ConfigureAwait(false);
        }

        return events / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private static int Count(ReadOnlySpan<byte> data)
    {
        var count = 0;
        int at;
        while ((at = data.IndexOf("\"text\":"u8)) >= 0)
        {
            count++;
            data = data[(at + 7)..];
        }

        return count;
    }

    public static async Task HealthyAsync(IPEndPoint address, CancellationToken cancellationToken)
    {
        var request = Http1Connection.Request("GET", "/health", "", "Connection: close");
        var clock = Stopwatch.StartNew();
        while (true)
        {
            try
            {
                using var connection = await Http1Connection.OpenAsync(address, cancellationToken).ConfigureAwait(false);
                if (await connection.SendAsync(request, null, cancellationToken).ConfigureAwait(false) == 200)
                {
                    return;
                }
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // Not open yet; the deadline below decides.
            }

            if (clock.Elapsed > TimeSpan.FromSeconds(60))
            {
                throw new TimeoutException("the engine did not become healthy within 60 s");
            }

            await Task.Delay(50, cancellationToken).ConfigureAwait(false);
        }
    }
}
