using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text;

namespace Loom.Load;

/// <summary>The rows of the serving benchmark: rounds are interleaved, so that a noisy minute hits every contender alike.</summary>
internal sealed class Serving(Stage stage, int rounds, TimeSpan length, Report report)
{
    private static readonly string s_auth = "Authorization: Bearer " + Stage.Token;

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await RequestsAsync("1 KB", 900, 16, cancellationToken).ConfigureAwait(false);
        await RequestsAsync("100 KB", 100_000, 16, cancellationToken).ConfigureAwait(false);
        await PacedStreamsAsync(cancellationToken).ConfigureAwait(false);
        await UnpacedStreamsAsync(cancellationToken).ConfigureAwait(false);
        await CancelAsync(cancellationToken).ConfigureAwait(false);
        await CancelQueuedAsync(cancellationToken).ConfigureAwait(false);
        await GatewayAsync(cancellationToken).ConfigureAwait(false);
        report.Memory("loom after all of this", stage.LoomProcess.Resident());
    }

    public static byte[] Chat(string model, int promptBytes, int tokens, bool stream, params string[] headers)
    {
        var words = string.Concat(Enumerable.Repeat("weave ", (promptBytes / 6) + 1))[..promptBytes];
        var body = $$"""{"model":"{{model}}","messages":[{"role":"user","content":"{{words}}"}],"max_tokens":{{tokens}},"stream":{{(stream ? "true" : "false")}}}""";
        return Http1Connection.Request("POST", "/v1/chat/completions", body, [s_auth, .. headers]);
    }

    private async Task RequestsAsync(string title, int bytes, int connections, CancellationToken cancellationToken)
    {
        var request = Chat("mock", bytes, 1, stream: false);
        var samples = await InterleaveAsync(stage.Contenders, address => Loads.RequestsAsync(address, request, connections, length, cancellationToken)).ConfigureAwait(false);
        report.Requests($"{title} request, not streamed, {connections} connections", samples);
    }

    private async Task PacedStreamsAsync(CancellationToken cancellationToken)
    {
        var firsts = new Dictionary<string, List<Sample>>(StringComparer.Ordinal);
        var gaps = await InterleaveAsync(stage.Paced, async (name, address) =>
        {
            var request = Chat(string.Equals(name, "loom", StringComparison.Ordinal) ? "paced" : "mock", 900, 40, stream: true);
            var (first, gap) = await Loads.StreamsAsync(address, request, 4, 5, cancellationToken).ConfigureAwait(false);
            firsts.TryAdd(name, []);
            firsts[name].Add(first);
            return gap;
        }).ConfigureAwait(false);
        report.Streams("4 streams at 100 tokens/s", firsts, gaps);
    }

    private async Task UnpacedStreamsAsync(CancellationToken cancellationToken)
    {
        var request = Chat("mock", 900, 400, stream: true);
        var samples = await InterleaveAsync(stage.Contenders, async (_, address) =>
        {
            var (_, gap) = await Loads.StreamsAsync(address, request, 32, 4, cancellationToken).ConfigureAwait(false);
            return gap;
        }).ConfigureAwait(false);
        report.Events("32 streams, unpaced: events a second", samples);
    }

    // The client's socket is closed at a known point; the time until the engine's slot is idle again is what is measured.
    private async Task CancelAsync(CancellationToken cancellationToken)
    {
        foreach (var (phase, model, engine, stream) in new[]
        {
            ("prefill", "hang", stage.HangEngine, true),
            ("streaming", "stall", stage.StallEngine, true),
            ("non-streaming", "stall", stage.StallEngine, false),
        })
        {
            var request = Chat(model, 100, 10, stream);
            var times = new List<double>();
            for (var i = 0; i < 50; i++)
            {
                times.Add(await CancelOnceAsync(request, engine, cancellationToken).ConfigureAwait(false));
            }

            report.Cancel(phase, new Sample(times.Count, times.Count, 1, times));
        }
    }

    // A waiting request has no slot; what is measured is how long its place in the queue outlives its client.
    private async Task CancelQueuedAsync(CancellationToken cancellationToken)
    {
        var request = Chat("narrow", 100, 10, stream: true);
        using var holder = await Http1Connection.OpenAsync(stage.Contenders["loom"], cancellationToken).ConfigureAwait(false);
        var held = holder.SendAsync(request, null, cancellationToken).AsTask();
        using var metrics = await Http1Connection.OpenAsync(stage.Contenders["loom"], cancellationToken).ConfigureAwait(false);
        await Task.Delay(200, cancellationToken).ConfigureAwait(false);
        var times = new List<double>();
        for (var i = 0; i < 50; i++)
        {
            var waiting = await Http1Connection.OpenAsync(stage.Contenders["loom"], cancellationToken).ConfigureAwait(false);
            var pending = waiting.SendAsync(request, null, cancellationToken).AsTask();
            await DepthAsync(metrics, 1, cancellationToken).ConfigureAwait(false);
            var start = Stopwatch.GetTimestamp();
            waiting.Dispose();
            await DepthAsync(metrics, 0, cancellationToken).ConfigureAwait(false);
            times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            await ((Task)pending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        holder.Dispose();
        await ((Task)held).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        report.Cancel("queued (place given up)", new Sample(times.Count, times.Count, 1, times));
    }

    private static async Task DepthAsync(Http1Connection metrics, int depth, CancellationToken cancellationToken)
    {
        var request = Http1Connection.Request("GET", "/metrics", "", s_auth);
        var wanted = Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"orchd_queue_depth{{class=\"interactive\"}} {depth}\n"));
        var clock = Stopwatch.StartNew();
        while (true)
        {
            using var text = new MemoryStream();
            await metrics.SendAsync(request, data => text.Write(data.Span), cancellationToken).ConfigureAwait(false);
            if (text.GetBuffer().AsSpan(0, (int)text.Length).IndexOf(wanted) >= 0)
            {
                return;
            }

            if (clock.Elapsed > TimeSpan.FromSeconds(10))
            {
                throw new TimeoutException($"the queue's depth was not {depth} within 10 s");
            }
        }
    }

    private async Task GatewayAsync(CancellationToken cancellationToken)
    {
        if (stage.Gateway is not { } gateway)
        {
            report.Line("- the Node AI gateway could not be installed; its row is missing");
            return;
        }

        var contenders = new Dictionary<string, IPEndPoint>(StringComparer.Ordinal) { ["direct"] = stage.Engine, ["loom"] = stage.Contenders["loom"], ["portkey"] = gateway };
        var request = Chat("mock", 900, 1, stream: false, "x-portkey-provider: openai", $"x-portkey-custom-host: http://{stage.Engine}/v1");
        foreach (var connections in new[] { 1, 16 })
        {
            var samples = await InterleaveAsync(contenders, address => Loads.RequestsAsync(address, request, connections, length, cancellationToken)).ConfigureAwait(false);
            report.Added($"Beside a Node AI gateway, 1 KB request, {connections} connection{(connections == 1 ? "" : "s")}", "portkey", samples);
        }
    }

    private async Task<double> CancelOnceAsync(byte[] request, IPEndPoint engine, CancellationToken cancellationToken)
    {
        using var watch = await Http1Connection.OpenAsync(engine, cancellationToken).ConfigureAwait(false);
        var connection = await Http1Connection.OpenAsync(stage.Contenders["loom"], cancellationToken).ConfigureAwait(false);
        var pending = connection.SendAsync(request, null, cancellationToken).AsTask();
        await BusyAsync(watch, busy: true, cancellationToken).ConfigureAwait(false);
        var start = Stopwatch.GetTimestamp();
        connection.Dispose();
        await BusyAsync(watch, busy: false, cancellationToken).ConfigureAwait(false);
        var elapsed = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        await ((Task)pending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return elapsed;
    }

    private static async Task BusyAsync(Http1Connection watch, bool busy, CancellationToken cancellationToken)
    {
        var request = Http1Connection.Request("GET", "/slots", "");
        var clock = Stopwatch.StartNew();
        while (true)
        {
            var seen = false;
            await watch.SendAsync(request, data => seen |= data.Span.IndexOf("\"is_processing\":true"u8) >= 0, cancellationToken).ConfigureAwait(false);
            if (seen == busy)
            {
                return;
            }

            if (clock.Elapsed > TimeSpan.FromSeconds(10))
            {
                throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"the engine's slots were not {(busy ? "busy" : "idle")} within 10 s"));
            }
        }
    }

    private Task<Dictionary<string, List<Sample>>> InterleaveAsync(Dictionary<string, IPEndPoint> contenders, Func<IPEndPoint, Task<Sample>> run) =>
        InterleaveAsync(contenders, (_, address) => run(address));

    private async Task<Dictionary<string, List<Sample>>> InterleaveAsync(Dictionary<string, IPEndPoint> contenders, Func<string, IPEndPoint, Task<Sample>> run)
    {
        var samples = contenders.Keys.ToDictionary(k => k, _ => new List<Sample>(), StringComparer.Ordinal);
        for (var round = -1; round < rounds; round++)
        {
            foreach (var (name, address) in contenders)
            {
                var sample = await run(name, address).ConfigureAwait(false);
                if (round >= 0)
                {
                    // Round -1 warms connections and code.
                    samples[name].Add(sample);
                }
            }
        }

        return samples;
    }
}
